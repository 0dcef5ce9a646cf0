"""Personal data that has a form: addresses of all kinds, numbers, logins. English and Ukrainian cues, some others.

Every finder is a function from a text to the places that it finds. Finders are independent; where two find the same
characters, `entities.resolve` decides.
"""

import re
from collections.abc import Callable, Iterator

from replybench.redaction.entities import Entity, Kind
from replybench.redaction.words import words

Finder = Callable[[str], Iterator[Entity]]

_EMAIL = re.compile(
    r"(?<![\w.+-])[\w.+'-]*[\w+-](?:@|\s?(?:\(at\)|\[at\])\s?)(?:[\w-]+\.)+[^\W\d_]{2,24}(?![\w@-])", re.IGNORECASE
)
_URL = re.compile(
    r"(?:(?:https?|ftp)://|www\.)[^\s<>\"'«»“”{}|\\^`\[\]]+"  # with a scheme
    r"|(?<![\w@./-])(?:[a-z0-9-]+\.)+[a-z]{2,24}(?::\d+)?/[^\s<>\"'«»“”{}|\\^`\[\]]+",  # a host with a path
    re.IGNORECASE,
)
_URL_TAIL = ".,;:!?)…»'\"*"
_FILE_ENDINGS = re.compile(r"\.(?:js|json|py|txt|exe|dll|log|png|jpg|ini|xml|csv|zip|md|html?)/", re.IGNORECASE)

_COUNTRIES = (
    "AD AE AL AT AZ BA BE BG BH BR BY CH CR CY CZ DE DK DO EE EG ES FI FO FR GB GE GI GL GR GT HR HU IE IL IQ "
    "IS IT JO KW KZ "
    "LB LC LI LT LU LV LY MC MD ME MK MR MT MU NL NO PK PL PS PT QA RO RS SA SC SE SI SK SM ST SV TL TN TR UA VA VG XK"
)
_IBAN = re.compile(
    rf"(?<![A-Za-z0-9])(?:{_COUNTRIES.replace(' ', '|')})\d{{2}}"
    r"(?:[ -]?[A-Z0-9]{2,4}){2,8}(?:[ -]?[A-Z0-9]{1,4})?(?![A-Za-z0-9])"
)
_ACCOUNT = re.compile(r"(?<!\d)\d{2}(?:[ -]?\d{4}){5,6}(?!\d)")
_ACCOUNT_CUED = re.compile(
    r"\b(?:iban|account (?:no|number|nr)\.?|sort code|routing(?: number)?|a/c|bic|kontonummer|рахунок|рахунку|р/р)"
    r"\s*(?:is|are|:|#|=|№)?\s*(?-i:((?:[A-Z]{2})?\d(?:[ -]?[\dA-Z]){4,33}))(?!\w)",
    re.IGNORECASE,
)
_CARD = re.compile(r"(?<![\d.])(?:\d[ -]?){12,18}\d(?![\d.])")

_IPV4 = re.compile(r"(?<![\w.])(?:(?:25[0-5]|2[0-4]\d|1?\d?\d)\.){3}(?:25[0-5]|2[0-4]\d|1?\d?\d)(?![\w]|\.\d)")
_VERSION_BEFORE = re.compile(
    r"(?:\bversion|\bv|\bver\.?|\bbuild|chrome/|firefox/|версі[яії]"
    r"|release)[^\n]{0,40}$",
    re.IGNORECASE,
)
_NO_PERSON_IP = re.compile(
    r"^(?:127\.|10\.|192\.168\.|172\.(?:1[6-9]|2\d|3[01])\.|0\.0\.0\.0|255\.|1\.1\.1\.1$"
    r"|8\.8\.[48]\.[48]$|1\.0\.0\.1$|9\.9\.9\.9$)"
)

_PHONE_PLUS = re.compile(r"(?<![\w+])(?:\+|00(?=[1-9]))\s?\d(?:[\s().\u00a0/-]{0,3}\d){6,14}(?!\d)")
_PHONE_NATIONAL = re.compile(
    r"(?<![\w.,-])(?:\(\d{3,5}\)\s?\d{2,4}[\s.-]?\d{2,4}(?:[\s.-]?\d{2,4})?"  # (715) 555-0191
    r"|\d{3}[-.\s]\d{3}[-.\s]\d{4}"  # 715-555-0191
    r"|\d{3}-\d{4}"  # 555-0191
    r"|0\d{2,4}[\s./-]?\d{2,4}[\s.-]?\d{2,4}(?:[\s.-]?\d{2,4})?)(?![\w-]|[.,]\d)"  # 067 123 45 67, 020 7946 0958
)
_PHONE_CUED = re.compile(
    r"\b(?:tel|telephone|phone|mobile|mob|cell|call(?: me)?|ring(?: me)?|text me|whatsapp|viber|fax|sms|telefon|handy"
    r"|(?:relay |contact |my |phone )?number|тел|телефон\w*|моб\w*|номер телефону|вайбер"
    r"|телеграм)\b[\s.:=#-]*(?:(?:is|on|at|no|number|nr|за|на|мій)\b[\s.:]*){0,2}"
    r"(\+?\d(?:[\s().-]{0,2}\d){5,14})(?!\d)",
    re.IGNORECASE,
)

_ORDER = re.compile(r"(?<![\w/-])(?:[A-ZА-ЯІЇЄҐ]{1,5}[-–#]?\d{2,4}-)?[A-ZА-ЯІЇЄҐ]{1,5}[-–#]\d{5,12}(?![\w-])")
_ORDER_CUED = re.compile(
    r"\b(?:order|invoice|receipt|booking|reference|ref|transaction|payment id|case|ticket|contract|customer"
    r"|membership|voucher"
    r"|tracking(?: number)?|bestellung|rechnung|замовлення|рахунок-фактур\w*|квитанці\w*|посилк\w*|накладн\w*"
    r"|чек|заявк\w*"
    r"|транзакці\w*|договір|договору)"
    r"\s*(?:(?:no|nr|num|number|id|номер|is|was)\b\.?\s*)?[:#№=]?\s*[#№]?\s*"
    r"((?=[\w-]*\d[\w-]*\d[\w-]*\d[\w-]*\d)[A-Za-zА-ЯІЇЄҐ]{0,6}[\d][\dA-Za-z-]{3,24}|[A-ZА-ЯІЇЄҐ]{1,6}[-–/]?\d[\dA-Z/-]{3,24})(?![\w])",
    re.IGNORECASE,
)
_ORDER_HASH = re.compile(r"(?<![\w&])[#№]\s?(\d{4,14})(?!\w)")

_DATE = re.compile(r"\d{4}-\d{2}-\d{2}|\d{1,2}-\d{1,2}-\d{2,4}|20\d\d")

_LOGIN_CUED = re.compile(
    r"\b(?:user ?name|user ?id|user|login(?: name)?|nick(?:name)?|handle|screen name|account|profile|логін\w*"
    r"|нік\w*|юзер\w*"
    r"|користувач\w*|акаунт\w*)\s*(?:is|:|=|was|називається|це|—|-)?\s*[\"'«“@]?"
    r"([A-Za-z][A-Za-z0-9]*(?:[._-]?[A-Za-z0-9]+)*)",
    re.IGNORECASE,
)
_LOGIN_LIKE = re.compile(r"[a-z].*\d|[a-z]_[a-z0-9]|[a-z]\.[a-z]+\d", re.IGNORECASE)
_LOGIN_SNAKE = re.compile(
    r"(?<![\w./\\@:=&?$%{\"-])[a-z][a-z0-9]{0,20}_[a-z0-9_]{1,24}(?![\w./\\(=}\"-]*[\w/\\(=}\"])"
    r"|(?<![\w./\\@:-])[a-z]{2,16}\.[a-z]{2,16}\d{2,4}(?![\w@./-]*[\w@/])"
)
#: A text with more words in snake_case than this is a log or a program, and they are no logins.
_MOST_SNAKES = 3
_TOP_LEVEL = re.compile(
    r"\.(?:com|org|net|edu|gov|io|info|biz|example|test|eu|uk|ua|de|fr|pl|it|es|nl|ca|au|co"
    r"|me|app|dev)$",
    re.IGNORECASE,
)
_HANDLE = re.compile(r"(?<![\w./@:])@([A-Za-zА-Яа-яІіЇїЄєҐґ][\w.]{1,29})(?<!\.)(?![\w@])")

_PASSWORD = re.compile(
    r"\b(?:password|passwort|passwd|pwd|passcode|pass|парол\w*)"
    r"(?:\s*|\b[^.?!\n]{0,45}?(?:\b(?:is|was|be|to|use|це)\s|[:=,—–]\s*))[\"'«“(]?(?<=[\s:=\"'«“(])"
    r"((?=[^\s,]*\d)(?=[^\s,]*[^\W\d])[^\s\"'»”,;]{5,40})"
    r"|\b(?:pin|(?:gate|door|access|entry|alarm|security) code|пін(?:-?код)?\w*|код (?:від|до|на) \S+)\b"
    r"[^.?!\n\d]{0,30}?[\s:=\"'«“(](\d[\d#*]{3,8}\b#?|\d{1,4}[^\W\d_]\d{2,6})",
    re.IGNORECASE,
)
#: What stands where a password could, and is none: ways to sign in, servers, systems.
_NO_PASSWORD = re.compile(
    r"(?:oauth|imap|pop|smtp|tls|ssl|sha|md|wpa|windows|win|android|ios|account|step|version|v)[-_ ]?[\d.]+\W*"
    r"|2fa|.*\w\.\w+\.\w.*|.*[\w.]+:\d+",
    re.IGNORECASE,
)
_ID_CUED = re.compile(
    r"\b(?:passport|id ?card|id number|ssn|social security|national insurance|tax (?:id|number)|vat"
    r"|driving licen[cs]e|driver'?s licen[cs]e|іпн|рнокпп|паспорт\w*|єдрпоу|посвідчення|pesel|nip)\b"
    r"(?:\s(?:no|nr|number|id|is|номер|серія|серії|для|рахунку|код)\b\.?){0,3}\s*[:#№=(]?\s*"
    r"(?-i:((?=[\w -]*\d{3})[A-ZА-ЯІЇЄҐ]{0,5}[ -]?\d(?:[ -]?[\dA-Z]){4,18}))(?!\w)",
    re.IGNORECASE,
)
_SSN = re.compile(r"(?<![\d-])\d{3}-\d{2}-\d{4}(?![\d-])")

_CAP = r"[A-ZÀ-ÖØ-ÞŁŚŻŹĆĘĄŃÓČŠŽ][^\W\d_]*(?:['’.-][^\W\d_]+)*"
_STREET_EN = (
    r"(?:Street|St|Road|Rd|Avenue|Ave|Lane|Ln|Close|Row|Drive|Dr|Court|Ct|Square|Sq|Way|Place|Pl|Terrace|Crescent|Yard"
    r"|Steps|Walk|Grove|Gardens|Hill|Park|Parade|Mews|Boulevard|Blvd|Highway|Hwy|Quay|Wharf|Mill|Circle|Trail|Rise|View|Green)"
)
_CITY = rf"(?:,?\s(?:\d{{3,6}}(?:-\d{{3,4}})?\s)?{_CAP}(?:[ -](?:{_CAP}|am|an|der|le|la|sur|upon)){{0,3}})"
_POSTCODE = r"(?:,?\s(?:[A-Z]{1,2}\d[A-Z\d]?\s?\d[A-Z]{2}|[A-Z]{2}\s\d{5}(?:-\d{4})?|\d{4,5}(?:\s[A-Z]{2})?))"
_ADDRESS = (
    re.compile(
        rf"(?:(?:Flat|Apt\.?|Apartment|Unit|Suite|Room)\s\w{{1,4}},?\s)?\b\d{{1,5}}[A-Za-z]?(?:-\d+)?,?\s(?:{_CAP}\s){{1,4}}"
        rf"{_STREET_EN}\b\.?(?:,?\s(?:Flat|Apt\.?|Apartment|Unit|Suite)\s\w{{1,4}})?(?:,{_CITY})?(?:,\s[A-Z]{{2}}\b)?{_POSTCODE}?"
    ),
    re.compile(rf"\b(?:Flat|Unit|Suite|Apartment)\s\d{{1,4}}\w?,\s(?:{_CAP}\s?){{1,4}}(?:,{_CITY})?{_POSTCODE}?"),
    re.compile(
        rf"\b(?:{_CAP}[ -])?(?-i:[A-ZÀ-ÖØ-Þ])\w+(?:stra[sß]e|str\.|weg|allee|platz|gasse|ring|ufer|damm|straat"
        rf"|laan|gracht|kade|plein|veien"
        rf"|gata|gatan|gade|vej|utca|katu)\s\d{{1,4}}\s?[a-z]?\b(?:-\d+)?"
        rf"(?:,?\s\d{{4,5}}(?:\s[A-Z]{{2}})?\s{_CAP}(?:[ -]{_CAP})?|,{_CITY})?",
        re.IGNORECASE,
    ),
    re.compile(rf"\bKade\s\d{{1,4}}(?:,{_CITY})?"),
    re.compile(
        rf"\b\d{{1,4}}\s?(?:bis|ter)?,?\s(?:rue|avenue|av\.|boulevard|bd|place|chemin|allée|impasse|quai|cours)\s"
        rf"(?:(?:de|des|du|de la|la|le|les|d'|l')\s?)*{_CAP}(?:[ -]{_CAP})*(?:,?\s\d{{5}}\s{_CAP}(?:[ "
        rf"-]{_CAP})*|,{_CITY})?",
        re.IGNORECASE,
    ),
    re.compile(
        rf"(?:\b(?:[Uu]l|[Aa]l|[Pp]l|[Oo]s)\.|\b(?:Via|Viale|[Cc]alle|[Aa]venida|[Rr]ua|[Ss]trada|[Pp]iazza|[Pp]laza|[Cc]arrer))\s?(?:{_CAP}\s?){{1,4}},?\s?"
        rf"\d{{1,4}}\w?(?:/\d+\w?)?(?:,?\s\d{{2}}-?\d{{3}}\s{_CAP}(?:[ -]{_CAP})?|,{_CITY})?"
    ),
    re.compile(rf"(?<!\w){_CAP}(?:\s{_CAP})?\sg\.\s\d{{1,4}}(?:-\d+)?(?:,{_CITY})?"),
    re.compile(
        r"(?<!\w)(?i:вул(?:иц[яіюею]+)?|просп(?:ект\w*)?|пр-т|бульв(?:ар\w*)?|б-р|пров(?:ул\w*)?|площ[аі]|пл\.|наб\.)\.?\s?"
        r"(?:[А-ЯІЇЄҐ][\w'’ʼ-]*\.?\s?){1,4},?\s?(?:буд(?:инок)?\.?\s?)?\d{1,4}\s?[а-яіїєґ]?(?:/\d+)?(?!\w)"
        r"(?:,?\s(?:кв(?:артира)?|оф|под|під'їзд)\.?\s?\d+)?(?:,?\s(?:м\.|місто|смт|с\.)?\s?[А-ЯІЇЄҐ][\w'’ʼ-]+)?(?:,?\s\d{5})?"
    ),
    re.compile(r"(?<![\w-])[A-Z]{1,2}\d[A-Z\d]?\s\d[A-Z]{2}(?!\w)"),  # a British postcode says which house it is
)
_IDLE_VALUES = words(
    "is not the was and for but has can does will correct incorrect wrong required reset expired invalid link "
    "page field"
)


def emails(text: str) -> Iterator[Entity]:
    """Yield email addresses, also ones whose top-level domain no registry knows, and 'name (at) host.com'."""
    if "@" in text or "at)" in text or "at]" in text:
        yield from _all(text, _EMAIL, Kind.EMAIL)


def urls(text: str) -> Iterator[Entity]:
    """Yield addresses with a scheme or a path. A bare host name (imap.example.com) is no personal address."""
    if "/" not in text and "www." not in text.casefold():
        return
    for match in _URL.finditer(text):
        value = match.group().rstrip(_URL_TAIL)
        if value and not _FILE_ENDINGS.search(value.partition("://")[2] or value):
            yield Entity(match.start(), match.start() + len(value), Kind.URL)


def accounts(text: str) -> Iterator[Entity]:
    """Yield bank accounts: what looks like an IBAN (a digit too few does not make it public), and cued numbers."""
    for match in _IBAN.finditer(text):
        if sum(ch.isdigit() for ch in match.group()) >= 10:
            yield Entity(match.start(), match.end(), Kind.IBAN)
    yield from _all(text, _ACCOUNT, Kind.IBAN)
    for match in _ACCOUNT_CUED.finditer(text):
        if sum(ch.isdigit() for ch in match.group(1)) >= 6:
            yield Entity(*match.span(1), Kind.IBAN)


def cards(text: str) -> Iterator[Entity]:
    """Yield numbers of payment cards: 13 to 19 digits with a right check digit, or 16 in groups of four."""
    for match in _CARD.finditer(text):
        value = match.group()
        if _luhn(re.sub(r"\D", "", value)) or re.fullmatch(r"\d{4}(?:[ -]\d{4}){3}", value):
            yield Entity(match.start(), match.end(), Kind.CARD)


def ip_addresses(text: str) -> Iterator[Entity]:
    """Yield IPv4 addresses that may be a person's; not versions, nor addresses that everybody has."""
    for match in _IPV4.finditer(text):
        if not _NO_PERSON_IP.match(match.group()) and not _VERSION_BEFORE.search(
            text[max(0, match.start() - 56) : match.start()]
        ):
            yield Entity(match.start(), match.end(), Kind.IP)


def phones(text: str) -> Iterator[Entity]:
    """Yield phone numbers, valid or not: fictional and mistyped ones are personal data too."""
    if sum(ch.isdigit() for ch in text) < 6:
        return
    yield from _all(text, _PHONE_PLUS, Kind.PHONE)
    for match in _PHONE_NATIONAL.finditer(text):
        if sum(ch.isdigit() for ch in match.group()) >= 7:
            yield Entity(match.start(), match.end(), Kind.PHONE)
    yield from _groups(text, _PHONE_CUED, Kind.PHONE)


def order_ids(text: str) -> Iterator[Entity]:
    """Yield numbers of orders, invoices, parcels and the like."""
    yield from _all(text, _ORDER, Kind.ORDER_ID)
    for match in _ORDER_CUED.finditer(text):
        if not _DATE.fullmatch(match.group(1)):
            yield Entity(*match.span(1), Kind.ORDER_ID)
    yield from _groups(text, _ORDER_HASH, Kind.ORDER_ID)


def usernames(text: str) -> Iterator[Entity]:
    """Yield login names: after a cue, with an @ before, or in snake_case."""
    for match in _LOGIN_CUED.finditer(text):
        value = match.group(1)
        if _LOGIN_LIKE.search(value) and value.casefold() not in _IDLE_VALUES:
            yield Entity(*match.span(1), Kind.USERNAME)
    snakes = list(_all(text, _LOGIN_SNAKE, Kind.USERNAME))
    if len({text[snake.start : snake.end] for snake in snakes}) <= _MOST_SNAKES:
        yield from snakes
    for match in _HANDLE.finditer(text):
        if not _TOP_LEVEL.search(match.group()):  # '@company.com' is a domain
            yield Entity(match.start(), match.end(), Kind.USERNAME)


def passwords(text: str) -> Iterator[Entity]:
    """Yield passwords and codes that somebody wrote out."""
    for match in _PASSWORD.finditer(text):
        group = 1 if match.group(1) else 2
        value = match.group(group).rstrip(".?):" + ("!" if text[match.end() :].strip() == "" else ""))
        if len(value) >= 4 and "@" not in value[1:] and not _NO_PASSWORD.fullmatch(value):
            yield Entity(match.start(group), match.start(group) + len(value), Kind.PASSWORD)


def id_numbers(text: str) -> Iterator[Entity]:
    """Yield numbers of passports, tax payers and the like."""
    yield from _groups(text, _ID_CUED, Kind.ID_NUMBER)
    yield from _all(text, _SSN, Kind.ID_NUMBER)


def addresses(text: str) -> Iterator[Entity]:
    """Yield postal addresses with a street and a house number, in the spellings of several countries."""
    if any(ch.isdigit() for ch in text):
        for pattern in _ADDRESS:
            for match in pattern.finditer(text):
                value = match.group().rstrip(" ,.\n")
                if any(ch.isdigit() for ch in value):
                    yield Entity(match.start(), match.start() + len(value), Kind.ADDRESS)


FINDERS: tuple[Finder, ...] = (
    emails,
    urls,
    accounts,
    cards,
    ip_addresses,
    phones,
    order_ids,
    usernames,
    passwords,
    id_numbers,
    addresses,
)


def _all(text: str, pattern: re.Pattern[str], kind: Kind) -> Iterator[Entity]:
    for match in pattern.finditer(text):
        yield Entity(match.start(), match.end(), kind)


def _groups(text: str, pattern: re.Pattern[str], kind: Kind) -> Iterator[Entity]:
    for match in pattern.finditer(text):
        yield Entity(match.start(1), match.end(1), kind)


def _luhn(digits: str) -> bool:
    total = 0
    for index, digit in enumerate(reversed(digits)):
        value = int(digit) * (2 if index % 2 else 1)
        total += value - 9 if value > 9 else value
    return total % 10 == 0
