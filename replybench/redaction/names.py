"""Names of people: by what stands around them, by a list of given names, and by the language model."""

import re
from bisect import bisect_left
from collections.abc import Iterator, Sequence
from functools import cache
from importlib import resources

from replybench.redaction.entities import Entity, Kind
from replybench.redaction.known import KnownPeople, name_parts, name_stem
from replybench.redaction.rampart import Rampart
from replybench.redaction.words import words

_UP = "".join(chr(code) for code in (*range(0x41, 0x5B), *range(0xC0, 0x530)) if chr(code).isupper())
_NAME = rf"(?:[{_UP}][^\W\d_]*(?:['’ʼ-][{_UP}a-zа-яіїєґ][^\W\d_]*)*)"
_FULL = (
    rf"{_NAME}(?:[ \t]+(?:(?:van|von|der|den|de|la|del|da|dos|di|el|al|bin|le)[ \t]+){{0,2}}{_NAME}"
    rf"|[ \t]+[{_UP}]\.){{0,2}}"
)
_HELLO = (
    r"(?:hi|hello|hey|hiya|dear|good (?:morning|afternoon|evening|day)|greetings|morning|hallo|bonjour|ciao|hola|cześć"
    r"|вітаю|привіт|доброго дня|добрий день|доброго ранку|доброго вечора|добрий вечір|шановн(?:ий|а|і)"
    r"|здрастуйте|дорог(?:ий|а))"
)
_THANKS = (
    r"(?:thanks|thank you|thankyou|thx|cheers|ta|merci|danke|gracias|grazie|dzi[eę]ki|obrigad[oa]|дякую|дяки"
    r"|спасибі|щиро дякую|дуже дякую)"
    r"(?:[ ,]+(?:so much|very much|a lot|again|a million|for everything|indeed|all|вам|дуже|велике|щиро))*"
)
_REGARDS = (
    r"(?:(?:kind|best|warm|many|with kind|with best|warmest|kindest)?\s?(?:regards|wishes|thanks)|regards"
    r"|sincerely|yours(?: truly| faithfully| sincerely)?"
    r"|best|cheers|thanks(?: again| in advance| so much| a lot)?|many thanks|thank you(?: very much| in advance"
    r"| so much)?|thx|ta|love|xx?"
    r"|cordially|respectfully|mit freundlichen grüßen|viele grüße|grüße|cordialement|saludos|pozdrawiam|z poważaniem"
    r"|з повагою|дякую(?: наперед| заздалегідь)?|гарного дня|з найкращими побажаннями|з вдячністю|щиро ваш[аі]?"
    r"|всього найкращого)"
)
_PATTERNS = (
    re.compile(
        rf"(?im)(?:^|[.!?>]\s+){_HELLO}(?:\s+(?:there|again))?[ ,]+(?-i:({_FULL}))(?=\s*(?:[,!.:;–—-]|\n|$"
        rf"|\s[a-zа-яіїєґ]))"
    ),
    re.compile(rf"(?i)\b{_THANKS}[ ,]+(?:dear\s+)?(?-i:({_FULL}))(?=\s*(?:[,!.:;)–—-]|\n|$))"),
    re.compile(rf"(?im)(?:^|[.!?]\s+){_REGARDS}[\s,.!–—-]+(?-i:({_FULL}))(?=\s*(?:[,.]?\s*(?:\n|$)|[,|–—-]))"),
    re.compile(
        r"(?i)\b(?:my (?:full )?name is|my name's|mein name ist|ich hei(?:ß|ss)e|je m['’]appelle|c['’]est"
        r"|nazywam się|mi chiamo|me llamo|mi nombre es"
        r"|account holder|name|attn:?|beneficiary|signed|this is|i am called|call me|it's|name:|signed by"
        r"|on behalf of|my (?:husband|wife|son|daughter"
        r"|mum|mom|dad|boss|brother|sister|friend|colleague|partner|manager|neighbour|assistant|uncle|aunt"
        r"|cousin),?(?: is)?"
        r"|(?:м|М)ене звати|моє ім['’ʼ]я|мене звуть|це|я —|звертається|ім['’ʼ]я:|піб:?|(?:мій|моя|моєї|мого"
        r"|моєму|моїм)\s\w+,?)"
        rf"\s+(?-i:({_FULL}))(?=\s*(?:[,.!?:;)–—-]|\n|$|\s(?:and|from|here|is|was|has|та|і|з|із)\b))"
    ),
    re.compile(rf"\b(?:Mr|Mrs|Ms|Miss|Mx|Dr|Prof|Sir|Madame|Mme|Herr|Frau|Señor|Señora|Pan|Pani)\b\.?\s+({_FULL})"),
    re.compile(
        r"(?i)(?<!\w)(?:оператор\w*|бухгалтер\w*|отримувач\w*|замовни\w+|платни\w+|директор\w*|керівни\w+|начальни\w+|менеджер\w*|кур['’ʼ]єр\w*"
        r"|майст(?:ер|ра|ру)|водій|водія|учител\w+|вчител\w+|лікар\w*|колег\w+|фоп|чоловік\w*|дружин\w+|до(?:чк|ньк)\w+|син\w?|сестр\w+"
        r"|брат\w?|мам\w|тат\w|бабус\w+|дідус\w+|сусід\w*|подру\w+|друг\w?|пані|імені|звуть|контакт\w*)"
        rf"(?:,?\s(?:мене|його|її|моє[їю]|мого|нашо\w+|нашим|звуть|вашого"
        rf"|на ім['’ʼ]я)){{0,2}}[\s,:—–-]{{1,3}}(?-i:({_FULL}))"
    ),
    re.compile(
        rf"(?:^|[\s(:;,])({_NAME}(?:[ \t]+{_NAME}){{1,2}})(?=,?\s(?:\+?\d[\d ()-]{{6,}}"
        rf"|[\w.+-]+@\w))"
    ),  # name, then phone or mail
    re.compile(rf"(?i)(?<!\w)(?:пан(?:е|ові|ом|у|а|і|ією|ю)?|добродій\w*|д-р|проф\.)\s+(?-i:({_FULL}))"),
)
_LAST_LINE = re.compile(rf"(?:^|\n)[ \t]*[-–—~]{{0,2}}[ \t]*({_FULL})[ \t]*[.,!]?[ \t]*(?:x+|:\))?\s*\Z")
_PATRONYMIC = re.compile(
    rf"(?<!\w)({_NAME}[ \t]+)?[{_UP}][а-яіїєґ'’ʼ]+(?:ович|йович|івн|ївн)(?:[аиуі]|ем|ою|у|еві"
    rf"|ові)?(?!\w)([ \t]+{_NAME})?"
)
_SURNAME_UK = re.compile(
    rf"(?<!\w)(?:({_NAME})[ \t]+)?[{_UP}][а-яіїєґ'’ʼ]+(?:енк(?:о|а|у|ові|ом)|чук(?:а|у|ові|ом)?|щук(?:а|у)?"
    rf"|ськ(?:ий|а|ого|ої|ому|ій|им|ою)"
    rf"|цьк(?:ий|а|ого|ої|ому|ій|им|ою)|ишин(?:а|у)?|ук(?:а|у)|юк(?:а|у)?|шин[аиу]?|ейко|айло)(?!\w)"
)
#: Capitalised words that open letters and sentences, and are nobody's name.
_NOT_NAMES = words(
    "there all everyone everybody team support sir madam friend friends folks guys customer colleague "
    "colleagues again dear "
    "thanks thank regards best kind warm cheers hello hi hey yes no ok okay please sorry help helpdesk service "
    "i we you it "
    "the a an this that and but for from with your our my his her their in on at to of if so as is are was were be not "
    "monday tuesday wednesday thursday friday saturday sunday january february march april may june july august "
    "september "
    "october november december english ukrainian german french polish english settings account manage windows "
    "android iphone "
    "ipad mac google apple microsoft facebook visa mastercard paypal amazon slack whatsapp email mail sent sincerely "
    "sirs ta ty dr mr mrs ms miss mx prof thx dzięki dzieki grazie merci danke gracias obrigado obrigada aloha "
    "mahalo baie dankie "
    "hiya facilities reception blue green white black "
    "goodbye bye farewell anon anonymous organiser organizer iban ok i'm i'd i've i'll it's that's don't can't "
    "order now "
    "christmas easter god lord new old good great fine done perfect wonderful much very hope looking happy merry "
    "вітаю привіт дякую добрий доброго день дня усім всім команда команді підтримка підтримко служба служби "
    "будь ласка я ми ви він вона це так ні що як "
    "україна українська київ львів одеса харків євро гривня понеділок вівторок середа четвер п'ятниця субота "
    "неділя січень "
    "шановні шановний шановна колеги друзі пане пані пан всі все дуже ще вже коли якщо чому де"
)


@cache
def given_names() -> frozenset[str]:
    """Return the list of given names, casefolded."""
    lines = (resources.files(__package__) / "data" / "given_names.txt").read_text(encoding="utf-8").splitlines()
    return frozenset(name.casefold() for line in lines if not line.startswith("#") for name in line.split())


def is_given_name(word: str) -> bool:
    """Return whether a word is a given name of the list, Ukrainian cases included."""
    word = word.casefold().replace("’", "'").replace("ʼ", "'")
    return word in given_names() or (len(word) > 3 and bool(_CYRILLIC.match(word)) and name_stem(word) in _stems())


def by_context(text: str) -> Iterator[Entity]:
    """Yield names that a greeting, thanks, sign-off, title or introduction tells of, and given names of the list."""
    for pattern in _PATTERNS:
        for match in pattern.finditer(text):
            yield from _trimmed(text, *match.span(1))
    last = _LAST_LINE.search(text)
    if last and "\n" in text.strip() and len(last.group(1).split()) <= 3:
        yield from _trimmed(text, *last.span(1))
    for pattern in (_PATRONYMIC, _SURNAME_UK):
        for match in pattern.finditer(text):
            first = match.group(1)
            if pattern is _PATRONYMIC or (first and (is_given_name(first) or match.start() > 0)):
                yield from _trimmed(text, match.start(), match.end())
    yield from _listed(text)


def by_model(text: str, model: Rampart) -> Iterator[Entity]:
    """Yield names and addresses that the language model sees. It knows Latin letters only."""
    latin, cyrillic = len(_LATIN.findall(text)), len(_CYRILLIC.findall(text))
    if latin * 5 < cyrillic or not latin:
        return
    scores = model.scores(text)
    yield from _model_names(text, scores)
    yield from _model_addresses(text, scores)


_LATIN = re.compile(r"[A-Za-z]")
_CYRILLIC = re.compile(r"[Ѐ-ӿ]")


def told(texts: Sequence[str], found: Sequence[list[Entity]], known: KnownPeople | None) -> set[str]:
    """Return the parts of names that were found in any text of a ticket, for finding them in the others."""
    parts: set[str] = set()
    for text, entities in zip(texts, found, strict=True):
        for entity in entities:
            if entity.kind is Kind.NAME:
                parts.update(part for part in name_parts(text[entity.start : entity.end]) if part[0].isupper())
    own = {part for person in (known.people if known else ()) for part in name_parts(person.name)}
    return {part for part in parts - own if len(part) > 2 and part.casefold() not in _NOT_NAMES}


def again(text: str, parts: set[str]) -> Iterator[Entity]:
    """Yield the places where parts of names stand that another text of the same ticket gave away."""
    for part in sorted(parts):
        for match in re.finditer(rf"(?<!\w){re.escape(part)}(?!\w)", text):
            yield Entity(match.start(), match.end(), Kind.NAME)


_INITIALS_BEFORE = re.compile(rf"(?<!\w)(?:[{_UP}]\.[ \t]?|[{_UP}][ \t]){{1,3}}$")
_INITIALS_AFTER = re.compile(rf"(?:[ \t]?[{_UP}]\.){{1,2}}")
_POSSESSIVE = re.compile(r"['’]s?$")


def _trimmed(text: str, start: int, end: int) -> Iterator[Entity]:
    """Yield the name in text[start:end] without words that are no names at its edges."""
    words = [(m.start() + start, m.end() + start) for m in re.finditer(r"[^\s,]+", text[start:end])]
    while words and text[slice(*words[0])].strip(".!'’").casefold() in _NOT_NAMES:
        words.pop(0)
    while words and text[slice(*words[-1])].strip(".!'’").casefold() in _NOT_NAMES:
        words.pop()
    if words and (tail := _POSSESSIVE.search(text[slice(*words[-1])])):
        words[-1] = (words[-1][0], words[-1][0] + tail.start())
    if words:
        words[0] = (_from_initials(text, words[0][0]), words[0][1])
    if words and any(len(text[slice(*word)].strip(".")) > 1 for word in words):
        yield Entity(
            words[0][0], words[-1][1] - (text[words[-1][1] - 1] == "." and words[-1][1] - words[-1][0] > 2), Kind.NAME
        )


_CAPITALISED = re.compile(rf"(?<![\w@./]){_NAME}(?![\w@])")


def _listed(text: str) -> Iterator[Entity]:
    """Yield given names of the list, with the surname that follows."""
    matches = list(_CAPITALISED.finditer(text))
    for index, match in enumerate(matches):
        name = _POSSESSIVE.sub("", match.group())
        if not is_given_name(name) or name.casefold() in _NOT_NAMES:
            continue
        end = match.start() + len(name)
        following = matches[index + 1] if index + 1 < len(matches) else None
        if following and following.start() - end == 1 and text[end] == " ":
            surname = following.group()
            end = following.end() if surname.casefold() not in _NOT_NAMES and len(surname) > 1 else end
        yield Entity(match.start(), end, Kind.NAME)


_TOKEN = re.compile(r"[^\W_]+(?:['’ʼ-][^\W_]+)*", re.UNICODE)
#: Probabilities from which a word is taken for a name: with a capital; with a capital and in the list of given names;
#: in small letters, which needs the list.
CAPITAL, LISTED, SMALL = 0.5, 0.1, 0.5


def _model_names(text: str, scores: list[tuple[int, int, dict[str, float]]]) -> Iterator[Entity]:
    runs: list[Entity] = []
    for match in _TOKEN.finditer(text):
        word = _POSSESSIVE.sub("", match.group())
        end = match.start() + len(word)
        if not word or word.casefold() in _NOT_NAMES or any(ch.isdigit() for ch in word):
            continue
        if _word_score(match.start(), end, scores, "name") < _threshold(word):
            continue
        if runs and re.fullmatch(r"[ \t]+|\.[ \t]*", text[runs[-1].end : match.start()]):
            runs[-1] = Entity(runs[-1].start, end, Kind.NAME)
        else:
            runs.append(Entity(match.start(), end, Kind.NAME))
    for run in runs:
        start = _from_initials(text, run.start)
        after = _INITIALS_AFTER.match(text, run.end)
        if run.end - start > 1:
            yield Entity(start, after.end() if after else run.end, Kind.NAME)


def _from_initials(text: str, start: int) -> int:
    """Return where a name begins if initials stand before it: 'J. R. ' of J. R. Abernathy; 'I' and 'A' are words."""
    before = text[max(0, start - 9) : start]
    match = _INITIALS_BEFORE.search(before)
    if not match or match.group().strip() in {"I", "A", "Я", "У", "В", "О", "З", "І", "Є"}:
        return start
    return start - len(match.group())


def _threshold(word: str) -> float:
    """Return the probability from which a word counts as a name. Few people write their own name small."""
    if word[0].isupper():
        return LISTED if is_given_name(word) else CAPITAL
    return SMALL if is_given_name(word) else 1.1


def _word_score(start: int, end: int, scores: list[tuple[int, int, dict[str, float]]], group: str) -> float:
    """Return the probability that the word at start…end is of `group`: the mean of its tokens."""
    first = bisect_left(scores, start, key=lambda score: score[0])
    own = []
    for at, to, row in scores[first : first + end - start]:
        if at >= end:
            break
        if to <= end:
            own.append(row[group])
    return sum(own) / len(own) if own else 0.0


def _model_addresses(text: str, scores: list[tuple[int, int, dict[str, float]]]) -> Iterator[Entity]:
    """Yield runs of address parts that hold a street and a number; a town alone is nobody's address."""
    start = end = -1
    has_street = False
    for at, to, row in [*scores, (len(text) + 99, len(text) + 99, {"street": 0.0, "place": 0.0})]:
        if row["street"] + row["place"] < 0.5:
            if start >= 0 and at - end > 3:
                if has_street and _is_address(text[start:end]):
                    yield Entity(start, _word_end(text, end), Kind.ADDRESS)
                start, has_street = -1, False
            continue
        if start < 0 or at - end > 3:
            if start >= 0 and has_street and _is_address(text[start:end]):
                yield Entity(start, _word_end(text, end), Kind.ADDRESS)
            start, has_street = at, False
        has_street = has_street or row["street"] >= 0.5
        end = to


def _is_address(text: str) -> bool:
    """Whether a run of address parts has a number and a proper noun, as a real one does."""
    return any(ch.isdigit() for ch in text) and any(word[0].isupper() for word in text.split() if word[0].isalpha())


def _word_end(text: str, at: int) -> int:
    while at < len(text) and (text[at].isalnum()):
        at += 1
    return at


@cache
def _stems() -> frozenset[str]:
    return frozenset(name_stem(name) for name in given_names() if len(name) > 3 and _CYRILLIC.match(name))
