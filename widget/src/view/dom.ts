type Child = Node | string | null | undefined | false;
type Attributes = Record<string, string | number | boolean | undefined | ((event: Event) => void)>;

/**
 * Make an element. Texts become text nodes and attributes are set by name, so nothing that is shown is ever parsed
 * as HTML. A function is a listener for the event of that name; `false` and `undefined` leave an attribute out.
 */
export function h<K extends keyof HTMLElementTagNameMap>(
  tag: K,
  attributes: Attributes = {},
  ...children: Child[]
): HTMLElementTagNameMap[K] {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (typeof value === "function") element.addEventListener(name, value);
    else if (value === true) element.setAttribute(name, "");
    else if (value !== false && value !== undefined) element.setAttribute(name, String(value));
  }
  for (const child of children) if (child || child === "") element.append(child);
  return element;
}

/** Return a link if `url` is a web address, else the text alone: `javascript:` and the like never become links. */
export function link(text: string, url: string | null): HTMLElement {
  let isWeb = false;
  try {
    isWeb = url !== null && ["https:", "http:"].includes(new URL(url).protocol);
  } catch {
    // not an address
  }
  return isWeb && url ? h("a", { href: url, target: "_blank", rel: "noopener noreferrer" }, text) : h("span", {}, text);
}

/** Show or hide without removing, so that what was typed stays. */
export function show(element: HTMLElement, isShown: boolean): void {
  element.hidden = !isShown;
}

/** Set a text only if it differs: keeps a selection alive while an answer is polled. */
export function setText(element: HTMLElement, text: string): void {
  if (element.textContent !== text) element.textContent = text;
}

/** Copy, also where the frame has no clipboard permission. Returns whether the browser did it. */
export async function copyText(text: string): Promise<boolean> {
  try {
    await navigator.clipboard.writeText(text);
    return true;
  } catch {
    const area = h("textarea", { "aria-hidden": "true", class: "offscreen" });
    area.value = text;
    document.body.append(area);
    area.select();
    // Deprecated and still the only way in a frame without the permission.
    const isCopied = document.execCommand("copy");
    area.remove();
    return isCopied;
  }
}
