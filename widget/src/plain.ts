// Zoho Desk keeps messages as HTML. The parser's document is inert: no script runs, no image is fetched.

const BREAKS = new Set(["BR", "P", "DIV", "LI", "TR", "H1", "H2", "H3", "H4", "H5", "H6", "UL", "OL", "TABLE", "PRE"]);
const DROPPED = "script, style, head, template, blockquote, .gmail_quote, .zmail_extra";

/** Return the text of `html` with its line breaks; quoted history is left out (it comes as messages of its own). */
export function plainFromHtml(html: string): string {
  const root = new DOMParser().parseFromString(html, "text/html").body;
  for (const element of root.querySelectorAll(DROPPED)) element.remove();
  const parts: string[] = [];
  collect(root, parts);
  return parts
    .join("")
    .replace(/[^\S\n]+/g, " ")
    .replace(/ ?\n ?/g, "\n")
    .replace(/\n{3,}/g, "\n\n")
    .trim();
}

function collect(node: Node, parts: string[]): void {
  for (const child of node.childNodes) {
    if (child.nodeType === Node.TEXT_NODE) {
      parts.push((child.textContent ?? "").replace(/\s+/g, " "));
    } else if (child.nodeType === Node.ELEMENT_NODE) {
      const breaks = BREAKS.has((child as Element).tagName);
      if (breaks) parts.push("\n");
      collect(child, parts);
      if (breaks && (child as Element).tagName !== "BR") parts.push("\n");
    }
  }
}

/** Return `text` as HTML that shows it as it is, for editors that take HTML. */
export function htmlFromPlain(text: string): string {
  const escapes: Record<string, string> = { "&": "&amp;", "<": "&lt;", ">": "&gt;", '"': "&quot;", "'": "&#39;" };
  return text.replace(/[&<>"']/g, (mark) => escapes[mark] ?? mark).replace(/\r\n?|\n/g, "<br>");
}
