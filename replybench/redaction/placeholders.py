"""Placeholders: which text stands for whom, the same over all texts of one ticket."""

import re

from replybench.redaction.entities import Entity, Kind
from replybench.redaction.known import KnownPeople, name_parts, same_name

#: A placeholder as it stands in redacted texts: {name}, {name_2}, {email} …
PLACEHOLDER = re.compile(rf"\{{(?:{'|'.join(kind.value for kind in Kind)})(?:_\d+)?\}}")


class Placeholders:
    """Gives every person and every value of a ticket its placeholder: {name} the first, {name_2} the second …

    One person keeps one placeholder, by whichever part of the name: 'Maria Lopez' and 'Maria' are both {name}. The
    ticket's known people come first, so that {name} is the customer wherever the helpdesk knew them.
    """

    def __init__(self, known: KnownPeople | None = None) -> None:
        """`known` are the people of the ticket, the customer first."""
        self._known = known or KnownPeople()
        self._values: dict[Kind, dict[str, int]] = {}
        self._people: list[set[str]] = []
        self._owners: dict[int, int] = {}

    def of(self, entity: Entity, text: str) -> str:
        """Return the placeholder of a find in `text`."""
        value = text[entity.start : entity.end]
        number = self._person(value) if entity.kind is Kind.NAME else self._value(entity.kind, value)
        return f"{{{entity.kind.value}}}" if number == 1 else f"{{{entity.kind.value}_{number}}}"

    def replace(self, text: str, entities: list[Entity]) -> str:
        """Return `text` with every entity (sorted, not overlapping) replaced."""
        pieces, at = [], 0
        for entity in entities:
            pieces += [text[at : entity.start], self.of(entity, text)]
            at = entity.end
        return "".join([*pieces, text[at:]])

    def _value(self, kind: Kind, value: str) -> int:
        is_number = kind in {Kind.PHONE, Kind.CARD, Kind.IBAN}
        key = re.sub(r"[^0-9a-z]", "", value.casefold())[-9:] if is_number else value.casefold().lstrip("@")
        numbers = self._values.setdefault(kind, {})
        return numbers.setdefault(key, len(numbers) + 1)

    def _person(self, value: str) -> int:
        parts = {part.casefold() for part in name_parts(value)} or {value.casefold().strip(" .")}
        index = self._known.whose(value)
        if index is not None and index in self._owners:
            self._people[self._owners[index]] |= parts
            return self._owners[index] + 1
        for number, person in enumerate(self._people):
            if index is None and _is_same(parts, person):
                person |= parts
                return number + 1
        self._people.append(parts)
        if index is not None:
            self._owners[index] = len(self._people) - 1
        return len(self._people)


def _is_same(parts: set[str], person: set[str]) -> bool:
    """Whether one name is a part of the other: Maria of Maria Lopez; not Maria Lopez and Maria Kowalska."""
    small, large = sorted((parts, person), key=len)
    return all(any(same_name(part, other) for other in large) for part in small)
