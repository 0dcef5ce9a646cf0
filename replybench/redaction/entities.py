"""What the redactor finds and what it gives back."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """A kind of personal data; its value is the placeholder's name: ``{name}``, ``{email}`` …"""

    NAME = "name"
    EMAIL = "email"
    PHONE = "phone"
    USERNAME = "username"
    ORDER_ID = "order_id"
    URL = "url"
    CARD = "card"
    IBAN = "iban"
    IP = "ip"
    ADDRESS = "address"
    PASSWORD = "password"  # noqa: S105 — the name of a kind, not a password
    ID_NUMBER = "id_number"


#: Where two finds overlap, the kind that stands first wins: the stricter the form, the surer the find.
PRECEDENCE = (
    Kind.EMAIL,
    Kind.PASSWORD,
    Kind.IBAN,
    Kind.CARD,
    Kind.URL,
    Kind.IP,
    Kind.ORDER_ID,
    Kind.PHONE,
    Kind.ID_NUMBER,
    Kind.ADDRESS,
    Kind.USERNAME,
    Kind.NAME,
)
RANK = {kind: rank for rank, kind in enumerate(PRECEDENCE)}


@dataclass(frozen=True, slots=True, order=True)
class Entity:
    """A piece of personal data: characters `start` to `end` (exclusive) of the text that was given."""

    start: int
    end: int
    kind: Kind

    def overlaps(self, other: "Entity") -> bool:
        """Return whether the two share a character."""
        return self.start < other.end and other.start < self.end


@dataclass(frozen=True, slots=True)
class Redacted:
    """A text without its personal data. `entities` point into the text that was given, in its order."""

    text: str
    entities: tuple[Entity, ...]


def resolve(found: list[Entity]) -> list[Entity]:
    """Return finds that do not overlap, in the order of the text.

    The surer kind wins, then the longer find. What a loser covers beyond the winner stays covered: its rest is kept as
    an entity of its own if it has a letter's length, so that nothing that was found stays in the text.
    """
    kept: list[Entity] = []
    for entity in sorted(found, key=lambda e: (RANK[e.kind], e.start - e.end, e.start)):
        rivals = [other for other in kept if other.overlaps(entity)]
        if not rivals:
            kept.append(entity)
            continue
        start, end = entity.start, entity.end
        if any(other.start <= start and end <= other.end for other in rivals):
            continue
        for other in rivals:  # cut off what is covered at either end; a rest in the middle is the winner's context
            if other.start <= start:
                start = max(start, other.end)
            elif other.end >= end:
                end = min(end, other.start)
        rest = Entity(start, end, entity.kind)
        if end - start > 1 and not any(other.overlaps(rest) for other in kept):
            kept.append(rest)
    return sorted(kept)
