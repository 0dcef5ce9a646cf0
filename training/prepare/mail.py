"""What mail programs add to a message: quoted replies, signatures, disclaimers. Pure functions on plain text."""

import re
from collections.abc import Sequence

from replybench.redaction.known import name_parts

_ATTRIBUTION = re.compile(
    r"(?m)^[> ]*(?:"
    r"On\b[^\n]{6,200}(?:\n[^\n]{0,120})?\bwrote:"
    r"|(?:Am|Den|Le|El|Il|W dniu|Dnia)\b[^\n]{6,200}(?:\n[^\n]{0,120})?\b(?:schrieb|skrev|écrit|escribió"
    r"|ha scritto|napisał\(?a?\)?)\b[^\n]{0,80}:?"
    r"|[^\n]{0,60}\d{4}[^\n]{0,120}(?:пише|написав|написала|написав\(ла\)|пишет):"
    r"|-{3,}\s*(?:Original Message|Ursprüngliche Nachricht|Forwarded message|Оригінальне повідомлення"
    r"|Переслане повідомлення)\s*-*"
    r"|_{8,}\s*$"
    r"|(?:From|Von|De|Від|Od):[^\n]{3,200}\n(?:[^\n]{0,200}\n){0,2}?(?:Sent|Date|To|Subject|Gesendet|Datum|An|Надіслано|Дата|Кому|Тема|Wysłano|Do):"
    r")[^\S\n]*"
)
_DEVICE = re.compile(
    r"(?im)^[ \t]*(?:sent (?:from|via|with) (?:my |the )?[^\n]{2,40}|get outlook for [^\n]+"
    r"|gesendet von[^\n]{2,40}|envoyé de mon[^\n]+"
    r"|надіслано з[^\n]{2,40}|відправлено з[^\n]{2,40}|wysłane z[^\n]{2,40})[ \t]*$"
)
_DELIMITER = re.compile(r"(?m)^-- ?$")
_CLOSING = re.compile(
    r"(?i)^[ \t]*(?:(?:with )?(?:kind|best|warm|warmest|kindest|many)(?: regards| wishes| thanks)?|regards"
    r"|all the best|best wishes"
    r"|(?:yours )?(?:sincerely|faithfully|truly)(?: yours)?|yours|cheers|thanks(?: again| in advance| so much"
    r"| a lot| very much)?"
    r"|thank you(?: so much| very much| in advance| again)?|many thanks|thx|ta|love|respectfully|cordially"
    r"|greetings|take care"
    r"|have a (?:nice|good|great|lovely) (?:day|weekend|evening)|mit freundlichen grüßen|mfg|viele grüße"
    r"|(?:liebe |beste |schöne )?grüße"
    r"|cordialement|bien à vous|saludos|un saludo|pozdrawiam|z poważaniem|mahalo|merci|danke|obrigad[oa]|grazie"
    r"|з повагою|з теплом|з любов['’ʼ]ю|бувайте|з найкращими побажаннями|щиро ваш[аі]?|дякую(?: наперед"
    r"| заздалегідь)?|гарного дня|всього найкращого|з вдячністю)"
    r"[ \t]*[,.!–—-]*[ \t]*$"
)
_DISCLAIMER = re.compile(
    r"(?i)(?:this (?:e-?mail|message|communication)\b[^\n]{0,120}(?:confidential|privileged|intended|addressee)"
    r"|if you are not the (?:intended|addressee|named)|the information (?:contained )?in this (?:e-?mail"
    r"|message)|confidentiality notice"
    r"|please consider the environment|before printing this|diese (?:e-?mail"
    r"|nachricht)[^\n]{0,80}(?:vertraulich|bestimmt|ist nur)"
    r"|ce (?:message|courriel)[^\n]{0,80}confidentiel|це повідомлення[^\n]{0,120}(?:конфіденційн|призначен)"
    r"|ця електронна пошта"
    r"|deze e-?mail[^\n]{0,80}(?:vertrouwelijk|bestemd)|registered (?:in|office)[^\n]{0,80}(?:no\.?"
    r"|number)\s*\d|virus-free\.)"
)


def cut_quotes(text: str) -> str:
    """Return a message without the reply that it quotes.

    Lines marked with '>' go wherever they stand, so that answers between them stay. After a line such as 'On Monday Ana
    wrote:' the rest goes, unless its quoted lines are marked.
    """
    marked = re.search(r"(?m)^\s*>", text)
    match = _ATTRIBUTION.search(text)
    if match:
        rest = text[match.end() :]
        head = text[: match.start()]
        text = f"{head}\n{rest}" if re.match(r"\s*\n?\s*>", rest) else head
    if marked:
        text = "\n".join(line for line in text.split("\n") if not line.lstrip().startswith(">"))
    return _squeezed(text)


def cut_disclaimer(text: str) -> str:
    """Return a message without the lawyers' paragraph at its end. A message that is nothing else stays."""
    paragraphs = re.split(r"\n\s*\n", text)
    for index, paragraph in enumerate(paragraphs):
        match = _DISCLAIMER.search(paragraph)
        if not match:
            continue
        line_start = paragraph.rfind("\n", 0, match.start()) + 1
        rest = [*paragraphs[:index], paragraph[:line_start]]
        return _squeezed("\n\n".join(rest)) or text
    return text


def cut_signature(text: str, names: Sequence[str] = ()) -> str:
    """Return a message without its sign-off: closing words, name, title, phone, 'Sent from my …'.

    Args:
        text: the message, quotes already cut.
        names: display names of who may have signed it.
    """
    cut = text
    delimiter = _DELIMITER.search(cut)
    if delimiter:
        cut = cut[: delimiter.start()]
    cut = _DEVICE.sub("", cut).rstrip()
    lines = cut.split("\n")
    at = _sign_off_line(lines, names)
    if at is not None:
        cut = "\n".join(lines[:at])
    cut = _squeezed(cut)
    return cut or _squeezed(text)


def _sign_off_line(lines: list[str], names: Sequence[str]) -> int | None:
    """Return the index of the line where the sign-off begins, looking at the last lines only."""
    filled = [index for index, line in enumerate(lines) if line.strip()]
    own = {part.casefold() for name in names for part in name_parts(name)}
    for index in filled[-9:]:
        after = [lines[i].strip() for i in filled if i > index]
        if any(len(line) > 90 or line.endswith("?") for line in after) or len(after) > 8:
            continue
        line = lines[index].strip()
        if _CLOSING.match(line) and (after or index != filled[0]):
            return index
        if index != filled[0] and _is_name_line(line, own):
            return index
    return None


def _is_name_line(line: str, own: set[str]) -> bool:
    head = line if len(line.split()) <= 3 else re.split(r"[,|·•]", line)[0]
    words = re.findall(r"[^\W\d_]+(?:['’ʼ][^\W\d_]+)*", head)
    named = [word for word in words if word.casefold() in own]
    return bool(named) and len(words) <= 4 and len(named) >= len(words) - 1 and not line.endswith(("?", ":"))


def _squeezed(text: str) -> str:
    return re.sub(r"\n{3,}", "\n\n", text).strip()
