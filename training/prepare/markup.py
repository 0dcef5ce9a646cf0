"""From HTML to plain text that keeps its lists and lines. Each function takes a tree and says how much it took away."""

import re
from dataclasses import dataclass, field
from urllib.parse import urlsplit

from lxml import etree, html
from lxml.html import HtmlElement

from replybench.redaction.words import words
from training.prepare.links import LinkBook

_HIDDEN = (
    "script",
    "style",
    "head",
    "title",
    "meta",
    "link",
    "noscript",
    "iframe",
    "object",
    "embed",
    "svg",
    "template",
)
_IMAGES = ("img", "picture", "video", "audio", "canvas", "map")
_BLOCKS = words(
    "p div section article header footer main aside ul ol dl dt dd table tbody thead tfoot tr blockquote pre h1 "
    "h2 h3 h4 "
    "h5 h6 figure figcaption address hr form fieldset center details summary caption"
)
_PARAGRAPHS = frozenset(["p", "ul", "ol", "dl", "table", "blockquote", "pre", "h1", "h2", "h3", "h4", "h5", "h6"])
_TOC = re.compile(
    r"(?:^|[\s_-])(?:toc|table-of-contents|tableofcontents|page-toc|on-this-page)(?:$|[\s_-])", re.IGNORECASE
)
_INVISIBLE = re.compile(
    r"display\s*:\s*none|visibility\s*:\s*hidden|mso-hide\s*:\s*all|font-size\s*:\s*0", re.IGNORECASE
)
_QUOTE_CLASSES = re.compile(
    r"gmail_quote|gmail_attr|moz-cite-prefix|yahoo_quoted|protonmail_quote|zmail_extra|OutlookMessageHeader|quoted-?reply",
    re.IGNORECASE,
)
_REST_IS_QUOTE = ("appendonsend", "divRplyFwdMsg", "stopSpelling", "reply-intro")
_ATTRIBUTION = re.compile(
    r"(?:wrote|said|schrieb|écrit|escribió|napisał\w*|пише|пишет|написа\w+)\b[^\n]{0,60}:?\s*$", re.IGNORECASE
)
_GENERIC = re.compile(
    r"(?:click |press |see |read |тисніть )?(?:here|this|link|this (?:article|page|link|guide)|our article"
    r"|article|more|read more"
    r"|details|тут|сюди|посилання|за посиланням|стаття|статті|докладніше|детальніше)\.?",
    re.IGNORECASE,
)
_BARE_LINK = re.compile(r"https?://[^\s<>\"'«»“”]+", re.IGNORECASE)
_LITERAL_TAG = re.compile(r"<(/?[A-Za-z!][^<>\n]*)>")


@dataclass(slots=True)
class Taken:
    """How many pieces were taken out of a text, by what they were."""

    counts: dict[str, int] = field(default_factory=dict)

    def add(self, what: str, count: int = 1) -> None:
        """Count `count` more pieces."""
        if count:
            self.counts[what] = self.counts.get(what, 0) + count


def to_text(source: str, book: LinkBook, taken: Taken, *, is_message: bool) -> str:
    """Return the readable text of an HTML fragment.

    Args:
        source: HTML, as mail programs and help centres write it.
        book: the company's own articles.
        taken: counts what was taken out.
        is_message: a message of a ticket, whose quoted replies go; in an article a quotation stays.
    """
    root = parse(source)
    if root is None:
        return ""
    drop_hidden(root, taken)
    drop_contents(root, taken)
    drop_images(root, taken)
    if is_message:
        drop_quotes(root, taken)
    name_links(root, book, taken)
    return tidy(_render(root))


def plain(source: str, book: LinkBook, taken: Taken) -> str:
    """Return a plain-text message with links to own articles named, otherwise as it is."""
    return tidy(_named_bare_links(source.replace("\r\n", "\n").replace("\r", "\n"), book, taken))


def parse(source: str) -> HtmlElement | None:
    """Return the tree of an HTML fragment, or None if it holds nothing."""
    if not source.strip():
        return None
    try:
        return html.fragment_fromstring(source.replace("\x00", ""), create_parent="div")
    except (etree.ParserError, ValueError):
        return None


def drop_hidden(root: HtmlElement, taken: Taken) -> None:
    """Take out scripts, styles, frames, comments and what mail programs hide."""
    etree.strip_elements(root, etree.Comment, etree.ProcessingInstruction, with_tail=False)
    doomed = list(root.iter(*_HIDDEN))
    doomed += [
        node for node in root.iter(etree.Element) if _INVISIBLE.search(node.get("style") or "") and node is not root
    ]
    taken.add("hidden", _drop(doomed))


def drop_contents(root: HtmlElement, taken: Taken) -> None:
    """Take out tables of contents: their lines only repeat the headings."""
    doomed = [
        node for node in root.iter(etree.Element) if _TOC.search(f"{node.get('id') or ''} {node.get('class') or ''}")
    ]
    doomed = [node for node in doomed if node.tag not in {"span", "a", "li"}]
    taken.add("table_of_contents", _drop(doomed))


def drop_images(root: HtmlElement, taken: Taken) -> None:
    """Take out images, video and sound; what they show is not in the text."""
    taken.add("image", _drop(list(root.iter(*_IMAGES))))


def drop_quotes(root: HtmlElement, taken: Taken) -> None:
    """Take out quoted replies, as Gmail, Outlook, Apple Mail, Yahoo, Thunderbird and forums mark them."""
    doomed = [node for node in root.iter(etree.Element) if _QUOTE_CLASSES.search(node.get("class") or "")]
    for node in root.iter("blockquote"):
        before = _text_before(node)
        if (
            (node.get("type") or "").lower() == "cite"
            or _ATTRIBUTION.search(before)
            or _ATTRIBUTION.search(" ".join(node.text_content().split())[:160].partition(":")[0])
        ):
            doomed.append(node)
            if _ATTRIBUTION.search(before):
                doomed += _attribution_nodes(node)
    for node in root.iter(etree.Element):
        if node.get("id") in _REST_IS_QUOTE or _is_outlook_header(node):
            doomed += [node, *node.itersiblings()]
    taken.add("quote", _drop(doomed))


def name_links(root: HtmlElement, book: LinkBook, taken: Taken) -> None:
    """Turn links into text: an own article's title; of others only the words that were linked."""
    for node in list(root.iter("a")):
        href = (node.get("href") or "").strip()
        words = " ".join(node.text_content().split())
        title = book.title(href) if href else None
        if title:
            taken.add("article_link")
            _set_text(node, _with_title(words, title))
        elif href.lower().startswith(("http", "//", "ftp")):
            taken.add("own_link" if book.is_own(href) else "external_link")


def tidy(text: str) -> str:
    """Return text with plain spaces, no trailing blanks, no more than one empty line in a row, no literal tags."""
    text = re.sub(r"[\u200b-\u200f\u2060\ufeff\u00ad]", "", text)
    text = re.sub(r"[^\S\n]", " ", text)
    text = _LITERAL_TAG.sub(r"[\1]", text)
    lines = [re.sub(r"(?<=\S) {2,}", " ", line).rstrip() for line in text.split("\n")]
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip()


def without_addresses(text: str, taken: Taken) -> str:
    """Return an article's text with written-out web addresses cut down to the host's name, which is no link."""

    def host(match: re.Match[str]) -> str:
        taken.add("external_link")
        value = match.group().rstrip(".,;:!?)")
        return (urlsplit(value).hostname or "") + match.group()[len(value) :]

    text = re.sub(r"(?:https?|ftp)://[^\s<>\"'«»“”]*", host, text)
    return re.sub(r"\bwww\.(?=[\w-]+\.)", "", text)


def without_own_scheme(text: str, book: LinkBook) -> str:
    """Return a message with the company's own addresses as people say them (merripot.example/teams), not as links."""

    def said(match: re.Match[str]) -> str:
        return match.group().partition("://")[2].removeprefix("www.") if book.is_own(match.group()) else match.group()

    return re.sub(r"https?://[\w.-]+", said, text)


def _named_bare_links(text: str, book: LinkBook, taken: Taken) -> str:
    def named(match: re.Match[str]) -> str:
        value = match.group().rstrip(".,;:!?)")
        title = book.title(value)
        if not title:
            return match.group()
        taken.add("article_link")
        return f'"{title}"' + match.group()[len(value) :]

    return _BARE_LINK.sub(named, text)


def _with_title(words: str, title: str) -> str:
    if words.casefold().strip(' ."') == title.casefold().strip(" ."):
        return words
    if not words or _GENERIC.fullmatch(words) or "://" in words or words.startswith("www."):
        return f'"{title}"'
    return f'{words} ("{title}")'


def _set_text(node: HtmlElement, text: str) -> None:
    for child in list(node):
        node.remove(child)
    node.text = text


def _drop(nodes: list[HtmlElement]) -> int:
    count = 0
    for node in nodes:
        if node.getparent() is not None:
            if node.tag in {"blockquote", "iframe", "table", "div", "p"} and node.tail and node.tail.strip():
                node.tail = f"\n{node.tail}"
            node.drop_tree()
            count += 1
    return count


def _text_before(node: HtmlElement) -> str:
    """Return the text of what stands right before a node, up to 200 characters."""
    previous = node.getprevious()
    while previous is not None and not "".join(previous.itertext()).strip() and not (previous.tail or "").strip():
        previous = previous.getprevious()
    if previous is None:
        parent = node.getparent()
        return ((parent.text or "") if parent is not None else "").strip()[-200:]
    return " ".join(("".join(previous.itertext()) + (previous.tail or "")).split())[-200:]


def _attribution_nodes(node: HtmlElement) -> list[HtmlElement]:
    previous = node.getprevious()
    while previous is not None and not "".join(previous.itertext()).strip():
        previous = previous.getprevious()
    if previous is not None and len(previous.text_content().split()) <= 30 and not (previous.tail or "").strip():
        return [previous]
    return []


def _is_outlook_header(node: HtmlElement) -> bool:
    if node.tag not in {"div", "p"} or not node.text_content().strip():
        return False
    text = " ".join(node.text_content().split())[:400]
    return bool(
        re.match(r"(?:From|Von|De|Від|Od)\s?:.{3,200}(?:Sent|Date|Gesendet|Envoyé|Надіслано|Дата|Wysłano)\s?:", text)
    ) or text.startswith(("-----Original Message", "-----Ursprüngliche"))


def _render(root: HtmlElement) -> str:
    out: list[str] = []
    _walk(root, out, indent=-1, is_pre=False)
    text = "".join(out)
    return re.sub(r"\n +(?=\n)", "\n", text)


def _walk(node: HtmlElement, out: list[str], *, indent: int, is_pre: bool) -> None:
    tag = node.tag if isinstance(node.tag, str) else ""
    if tag == "br":
        out.append("\n")
    elif tag == "li":
        _open_item(node, out, indent)
    elif tag in {"td", "th"}:
        if node.getprevious() is not None:
            out.append(" | ")
    elif tag in _PARAGRAPHS and not _in_item(node):
        _break(out, 2)
    elif tag in _BLOCKS:
        _break(out, 1)
    deeper = indent + (tag in {"ul", "ol"})
    keep_lines = is_pre or tag == "pre"
    _write(node.text, out, keep_lines)
    previous = None
    for child in node:
        if (
            previous is not None
            and previous.get("data-for")
            and child.get("data-for")
            and not (previous.tail or "").strip()
        ):
            out.append(" / ")  # variants for several systems stand side by side
        _walk(child, out, indent=deeper, is_pre=keep_lines)
        _write(child.tail, out, keep_lines)
        previous = child
    if tag in _PARAGRAPHS and not _in_item(node):
        _break(out, 2)
    elif tag in _BLOCKS or tag == "li":
        _break(out, 1)


def _break(out: list[str], lines: int) -> None:
    """End the line, and for two leave an empty one; never more than that."""
    tail = "".join(out[-3:]).rstrip(" ")
    have = len(tail) - len(tail.rstrip("\n"))
    out.append("\n" * max(0, lines - have))


def _open_item(node: HtmlElement, out: list[str], indent: int) -> None:
    parent = node.getparent()
    if parent is not None and parent.tag == "ol":
        siblings = [child for child in parent if child.tag == "li"]
        start = int(parent.get("start")) if (parent.get("start") or "").isdigit() else 1
        mark = f"{start + siblings.index(node)}. "
    else:
        mark = "- "
    _break(out, 1)
    out.append("  " * max(indent, 0) + mark)


def _in_item(node: HtmlElement) -> bool:
    """Whether a paragraph or list stands in a list item or cell, where an empty line would tear it apart."""
    parent = node.getparent()
    while parent is not None:
        if parent.tag in {"li", "td", "th", "dd", "dt"}:
            return True
        parent = parent.getparent()
    return False


def _write(text: str | None, out: list[str], is_pre: bool) -> None:
    if not text:
        return
    if is_pre:
        out.append(text)
        return
    collapsed = re.sub(r"\s+", " ", text)
    last = next((piece for piece in reversed(out) if piece), "\n")
    if last[-1] in "\n " or last.endswith((". ", "- ")):
        collapsed = collapsed.lstrip(" ")
    if collapsed:
        out.append(collapsed)
