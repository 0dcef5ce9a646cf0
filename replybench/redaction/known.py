"""What is known of the people of one ticket, and how their names are found again in its texts."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from replybench.redaction.entities import Entity, Kind
from replybench.redaction.words import words

#: Parts of a display name that are not a person's name.
_NOT_A_NAME = words(
    "support team help desk helpdesk service customer care info admin office sales the of and for from via bot system "
    "van von der den de la le du di da dos el al bin ibn ter ten st mr mrs ms miss dr prof sir user guest anonymous "
    "noreply no-reply підтримка команда служба user customer agent unknown deleted"
)
_WORD = re.compile(r"[^\W\d_]+(?:['’ʼ][^\W\d_]+)*", re.UNICODE)
_CYRILLIC = re.compile(r"[А-ЯІЇЄҐа-яіїєґ]")
#: What may stand between two parts of one name: blanks, initials, particles.
_BETWEEN = r"[\s.,-]{1,3}(?:(?:\w\.?|van|von|der|den|de|la|del|da|dos|di|el|al|bin|le|ter)\s+){0,2}"
_GREETS = r"(?:^|\n|[,!.?]\s|\b(?:hi|hello|hey|dear|thanks|thank you|thx|cheers|merci|ta|regards|best)[ ,]+)"


@dataclass(frozen=True, slots=True)
class Person:
    """One person as the helpdesk knows them; every value may be missing."""

    name: str = ""
    emails: tuple[str, ...] = ()
    phones: tuple[str, ...] = ()
    usernames: tuple[str, ...] = ()

    @staticmethod
    def from_author(author: str) -> "Person":
        """Return the person behind a display name, which may be a login name or an email address."""
        author = author.strip()
        if "@" in author and " " not in author:
            return Person(emails=(author,))
        is_login = " " not in author and (author.islower() or bool(re.search(r"[\d_.]", author)))
        return Person(usernames=(author,)) if is_login else Person(name=author)


@dataclass(frozen=True, slots=True)
class KnownPeople:
    """The people of a ticket, the customer first: the contact, then the authors of its turns."""

    people: tuple[Person, ...] = ()

    @staticmethod
    def of(contact: Person | None = None, authors: Iterable[str | None] = ()) -> "KnownPeople":
        """Return the people of a ticket, each once."""
        people = [contact] if contact else []
        people += [Person.from_author(author) for author in authors if author and author.strip()]
        return KnownPeople(tuple(dict.fromkeys(people)))

    def find(self, text: str) -> Iterator[Entity]:
        """Yield every place of `text` where one of these people stands, by any of their names or addresses."""
        for person in self.people:
            yield from _find_name(text, person.name)
            for email in person.emails:
                yield from _literal(text, email, Kind.EMAIL)
                yield from _find_login(text, email.partition("@")[0])
            for username in person.usernames:
                yield from _literal(text, username, Kind.USERNAME)
            for phone in person.phones:
                yield from _find_phone(text, phone)

    def whose(self, name: str) -> int | None:
        """Return the index of the person whose name (or a part of it) `name` is, in whatever case of its language."""
        parts = [part.casefold() for part in _WORD.findall(name)]
        for index, person in enumerate(self.people):
            own = [part.casefold() for part in _WORD.findall(person.name)]
            if parts and own and all(any(same_name(part, other) for other in own) for part in parts):
                return index
        return None


def name_parts(name: str) -> list[str]:
    """Return the parts of a display name that are names, without 'Support', 'van' and the like."""
    return [part for part in _WORD.findall(name) if len(part) > 1 and part.casefold() not in _NOT_A_NAME]


def same_name(one: str, other: str) -> bool:
    """Return whether two words are one name, Ukrainian cases included (Олена, Олено, Оленою)."""
    one, other = one.casefold(), other.casefold()
    if one == other:
        return True
    if not (_CYRILLIC.search(one) and _CYRILLIC.search(other)):
        return False
    return name_stem(one) == name_stem(other) and len(name_stem(one)) >= 3


def name_stem(word: str) -> str:
    """Return a Ukrainian name without its case ending (Олен- of Олена, Олено, Оленою), in the case of its letters."""
    return re.sub(r"(?:ом|ем|єм|ою|ею|єю|ові|еві|єві|[аеиіїоуюяєйь])$", "", word)


def _find_name(text: str, name: str) -> Iterator[Entity]:
    for pattern, flexible in _name_patterns(name):
        for match in pattern.finditer(text):
            start, end = match.span(1)
            if flexible or text[start].isupper():
                yield Entity(start, end, Kind.NAME)


@lru_cache(maxsize=4096)
def _name_patterns(name: str) -> tuple[tuple[re.Pattern[str], bool], ...]:
    """Return patterns for a display name, each with whether small initials count as well.

    A lower-case part counts only where a name is greeted, thanked or signed, since 'will', 'mark' and 'rose' are words.
    """
    parts = name_parts(name)
    if not parts:
        return ()
    patterns = []
    if len(parts) > 1:
        joined = _BETWEEN.join(_inflected(part) for part in parts)
        patterns.append((re.compile(rf"(?<!\w)({joined})(?!\w)", re.IGNORECASE), True))
    for part in parts:
        body = _inflected(part)
        patterns.append((re.compile(rf"(?<!\w)({body})(?!\w)", re.IGNORECASE), False))
        patterns.append((re.compile(rf"{_GREETS}({body})(?=\s*(?:$|\n|[,!.?]))", re.IGNORECASE), True))
    return tuple(patterns)


def _inflected(part: str) -> str:
    if not _CYRILLIC.search(part):
        return re.escape(part).replace("ʼ", "['’ʼ]").replace("'", "['’ʼ]").replace("’", "['’ʼ]")
    return rf"{re.escape(name_stem(part))}[а-яіїєґ]{{0,3}}" if len(name_stem(part)) >= 3 else re.escape(part)


def _literal(text: str, value: str, kind: Kind) -> Iterator[Entity]:
    if len(value) < 2:
        return
    for match in re.finditer(rf"(?<![\w@]){re.escape(value)}(?!\w)", text, re.IGNORECASE):
        yield Entity(match.start(), match.end(), kind)


def _find_login(text: str, login: str) -> Iterator[Entity]:
    """The part of an address before the @ is a login too, if it cannot be an ordinary word."""
    if len(login) >= 5 and re.search(r"[\d_.]", login):
        yield from _literal(text, login, Kind.USERNAME)


def _find_phone(text: str, phone: str) -> Iterator[Entity]:
    digits = re.sub(r"\D", "", phone)
    if len(digits) < 6:
        return
    tail = digits[-9:]  # the same number is written with and without its country code
    loose = r"[\s().-]*".join(tail)
    for match in re.finditer(rf"(?<!\d)(?:\+?[\d\s().-]{{0,8}})?{loose}(?!\d)", text):
        start = match.start() + len(match.group()) - len(match.group().lstrip(" \n).-"))
        yield Entity(start, match.end(), Kind.PHONE)
