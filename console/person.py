"""Who acts: a name, and what an identity provider said besides."""

from typing import Literal

Role = Literal["manager", "lead", "admin"]


class Person(str):
    """A rater's name that knows whose it is. Two people of one name are two people.

    Attributes:
        id: the identity provider's own, unchanging name for the person.
        role: what the person may do.
    """

    id: str
    role: Role

    @classmethod
    def known(cls, name: str, *, identity: str, role: Role) -> "Person":
        """Return a person whom an identity provider vouches for."""
        person = cls(name)
        person.id, person.role = identity, role
        return person

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Person) and self.id == other.id and str.__eq__(self, other)

    def __ne__(self, other: object) -> bool:
        return not self == other

    def __hash__(self) -> int:
        return hash((str(self), self.id))

    def __reduce__(self) -> tuple[object, ...]:
        return _again, (str(self), self.id, self.role)


def _again(name: str, identity: str, role: Role) -> Person:
    return Person.known(name, identity=identity, role=role)
