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
    Kind.URL,  # first, since it may hold any of the others
    Kind.EMAIL,
    Kind.PASSWORD,
    Kind.ID_NUMBER,
    Kind.CARD,
    Kind.IBAN,
    Kind.IP,
    Kind.ORDER_ID,
    Kind.PHONE,
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

    The surer kind wins, then the longer find. Of a name or an address that another find cuts, the rest stays an entity
    of its own; the rest of a number is no number.
    """
    kept: list[Entity] = []
    for entity in sorted(_united(found), key=lambda e: (RANK[e.kind], e.start - e.end, e.start)):
        rivals = [other for other in kept if other.overlaps(entity)]
        if not rivals:
            kept.append(entity)
            continue
        start, end = entity.start, entity.end
        if entity.kind not in {Kind.NAME, Kind.ADDRESS} or any(o.start <= start and end <= o.end for o in rivals):
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


def _united(found: list[Entity]) -> list[Entity]:
    """Return finds of names and addresses joined where two of one kind overlap; other kinds as they are."""
    united: list[Entity] = []
    for kind in (Kind.NAME, Kind.ADDRESS):
        last: Entity | None = None
        for entity in sorted(entity for entity in found if entity.kind is kind):
            if last and entity.start < last.end:
                last = Entity(last.start, max(last.end, entity.end), kind)
                united[-1] = last
            else:
                last = entity
                united.append(entity)
    return united + [entity for entity in found if entity.kind not in {Kind.NAME, Kind.ADDRESS}]
