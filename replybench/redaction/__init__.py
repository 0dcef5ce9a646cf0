"""Redaction: personal data out of texts, before they are stored, trained on or sent to anybody.

redactor = Redactor()
redactor.redact("Hi, it's Ana Reis, ana@reis.example").text      # "Hi, it's {name}, {email}"
known = KnownPeople.of(Person(name="Ana Reis"), ["Olena"])
subject, *turns = redactor.redact_ticket([subject, *texts], known)   # one person, one placeholder
"""

from replybench.redaction.entities import Entity, Kind, Redacted
from replybench.redaction.known import KnownPeople, Person
from replybench.redaction.redactor import NameMode, Redactor

__all__ = ["Entity", "Kind", "KnownPeople", "NameMode", "Person", "Redacted", "Redactor"]
