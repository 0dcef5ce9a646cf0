"""One ticket or article from the raw form to clean, redacted text, in small steps that say what they did.

A step is a pure function from a draft to the next draft, or to `Dropped` with the reason. The steps are listed in
`STEPS`; nothing here knows of other tickets (duplicates and the split do, see `pipeline`).
"""

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace
from typing import NamedTuple

from replybench import language as languages
from replybench.prompts import Role, Turn
from replybench.redaction import Kind, KnownPeople, NameMode, Person, Redactor
from training.helpdesk.raw import RawArticle, RawTicket
from training.prepare import mail, markup, spam
from training.prepare.links import LinkBook
from training.prepare.outcome import UNDECIDED, Verdict, judge

#: What is redacted in articles. They are public texts of the company, so names in them are meant to be read.
ARTICLE_KINDS = frozenset({Kind.EMAIL, Kind.PHONE, Kind.CARD, Kind.IBAN})


@dataclass(frozen=True, slots=True)
class Settings:
    """What cleaning needs to know of the company; small enough to be sent to every worker process."""

    book: LinkBook
    keep: frozenset[str] = frozenset()
    names: NameMode = "auto"
    include_internal: bool = False


class Tools(NamedTuple):
    """What the steps use."""

    settings: Settings
    redactor: Redactor

    @staticmethod
    def of(settings: Settings) -> "Tools":
        """Return the tools of one process."""
        redactor = Redactor(settings.names, keep=settings.keep, own_domains=settings.book.domains)
        return Tools(settings, redactor)


class Dropped(NamedTuple):
    """A row that goes, and why: one word that the report counts."""

    reason: str


@dataclass(frozen=True, slots=True)
class DraftTurn:
    """A turn on its way, already text."""

    role: Role
    author: str | None
    text: str


@dataclass(frozen=True, slots=True)
class Draft:
    """A ticket on its way through the steps."""

    ticket: RawTicket
    subject: str
    turns: tuple[DraftTurn, ...] = ()
    outcome: Verdict = UNDECIDED
    language: str = languages.UNKNOWN
    taken: Counter[str] = field(default_factory=Counter)
    redactions: Counter[str] = field(default_factory=Counter)

    @property
    def characters(self) -> int:
        """How many characters the subject and the turns have."""
        return len(self.subject) + sum(len(turn.text) for turn in self.turns)


Step = Callable[[Draft, Tools], Draft | Dropped]


class Trace(NamedTuple):
    """What a step did: characters before and after, and what it took, by kind. Never the text itself."""

    step: str
    before: int
    after: int
    taken: dict[str, int]
    dropped: str | None


def drop_spam(draft: Draft, _: Tools) -> Draft | Dropped:
    """Drop what the helpdesk marked as spam: the ticket, or single messages in it."""
    if draft.ticket.is_spam:
        return Dropped("spam")
    marked = sum(turn.is_spam for turn in draft.ticket.turns)
    return replace(draft, taken=draft.taken + Counter({"spam_turn": marked} if marked else {}))


def to_text(draft: Draft, tools: Tools) -> Draft:
    """Turn HTML into text; take out images, hidden parts and quotes that are marked up; name links to own articles."""
    taken = markup.Taken()
    turns = []
    for turn in draft.ticket.turns:
        if turn.is_spam:
            continue
        book = tools.settings.book
        if turn.html is not None:
            text = markup.to_text(turn.html, book, taken, is_message=True)
        else:
            text = markup.plain(turn.text or "", book, taken)
        turns.append(DraftTurn(turn.role, turn.author, markup.without_own_scheme(text, book)))
    subject = " ".join(markup.tidy(draft.subject).split())
    return replace(draft, subject=subject, turns=tuple(turns), taken=draft.taken + Counter(taken.counts))


def cut_quotes(draft: Draft, _: Tools) -> Draft:
    """Take out quoted replies that only the text shows ('On Monday … wrote:', lines with '>')."""
    return _each(draft, "quote", lambda turn: mail.cut_quotes(turn.text))


def cut_disclaimers(draft: Draft, _: Tools) -> Draft:
    """Take out the paragraphs that companies put under every mail."""
    return _each(draft, "disclaimer", lambda turn: mail.cut_disclaimer(turn.text))


def judge_outcome(draft: Draft, _: Tools) -> Draft:
    """Record how the ticket ended. Done before sign-offs go, since thanks stand in them."""
    turns = [Turn(turn.role, turn.text) for turn in draft.turns if turn.text]
    return replace(draft, outcome=judge(draft.ticket, turns))


def drop_advertising(draft: Draft, _: Tools) -> Draft | Dropped:
    """Drop advertising that nobody marked."""
    turns = [Turn(turn.role, turn.text) for turn in draft.turns]
    return Dropped("spam") if spam.is_spam(draft.subject, turns) else draft


def cut_signatures(draft: Draft, _: Tools) -> Draft:
    """Take out sign-offs: closing words, names, titles, phone numbers, 'Sent from my …'."""
    contact = draft.ticket.contact
    names = [name for name in (contact.name if contact else None, *(turn.author for turn in draft.turns)) if name]
    return _each(draft, "signature", lambda turn: mail.cut_signature(turn.text, names))


def join_turns(draft: Draft, _: Tools) -> Draft | Dropped:
    """Drop empty turns, join neighbours of one side, begin with the customer; drop what is no thread."""
    turns: list[DraftTurn] = []
    for turn in draft.turns:
        if not any(ch.isalnum() for ch in turn.text) or (not turns and turn.role == "agent"):
            continue
        if turns and turns[-1].role == turn.role:
            turns[-1] = replace(turns[-1], text=f"{turns[-1].text}\n\n{turn.text}")
        else:
            turns.append(turn)
    if not turns:
        return Dropped("empty")
    if not any(turn.role == "agent" for turn in turns):
        return Dropped("unanswered")
    return replace(draft, turns=tuple(turns))


def detect_language(draft: Draft, _: Tools) -> Draft:
    """Record the language of the customer's question."""
    texts = [turn.text for turn in draft.turns if turn.role == "customer"]
    return replace(draft, language=languages.detect(*texts, *(turn.text for turn in draft.turns)))


def redact(draft: Draft, tools: Tools) -> Draft:
    """Put placeholders in the place of personal data, the same person the same placeholder."""
    texts = [draft.subject, *(turn.text for turn in draft.turns)]
    results = tools.redactor.redact_ticket(texts, known_people(draft.ticket))
    redactions = Counter(entity.kind.value for result in results for entity in result.entities)
    turns = tuple(replace(turn, text=result.text) for turn, result in zip(draft.turns, results[1:], strict=True))
    return replace(draft, subject=results[0].text, turns=turns, redactions=redactions)


STEPS: tuple[tuple[str, Step], ...] = (
    ("spam", drop_spam),
    ("markup", to_text),
    ("quotes", cut_quotes),
    ("disclaimers", cut_disclaimers),
    ("advertising", drop_advertising),
    ("outcome", judge_outcome),
    ("signatures", cut_signatures),
    ("turns", join_turns),
    ("language", detect_language),
    ("privacy", redact),
)


def clean_ticket(ticket: RawTicket, tools: Tools, trace: list[Trace] | None = None) -> Draft | Dropped:
    """Return a ticket cleaned, or why it goes; `trace`, if given, receives what every step did."""
    draft = Draft(ticket, ticket.subject)
    before = len(ticket.subject) + sum(len(turn.html or turn.text or "") for turn in ticket.turns)
    for name, step in STEPS:
        old = draft.taken + draft.redactions
        result = step(draft, tools)
        if isinstance(result, Dropped):
            if trace is not None:
                trace.append(Trace(name, before, 0, {}, result.reason))
            return result
        draft = result
        if trace is not None:
            after = draft.characters if draft.turns else before
            trace.append(Trace(name, before, after, dict(draft.taken + draft.redactions - old), None))
            before = after
    return draft


class CleanArticle(NamedTuple):
    """An article cleaned, with what was taken out and replaced in it."""

    text: str
    language: str
    taken: Counter[str]
    redactions: Counter[str]


def clean_article(article: RawArticle, tools: Tools) -> CleanArticle | Dropped:
    """Return an article as plain text, or why it goes: `internal` (agents only) or `empty`."""
    if article.permission.upper() == "AGENTS" and not tools.settings.include_internal:
        return Dropped("internal")
    taken = markup.Taken()
    book = tools.settings.book
    if article.html is not None:
        text = markup.to_text(article.html, book, taken, is_message=False)
    else:
        text = markup.plain(article.text or "", book, taken)
    text = markup.without_addresses(text, taken)
    if not any(ch.isalnum() for ch in text):
        return Dropped("empty")
    result = tools.redactor.redact_ticket([text], kinds=ARTICLE_KINDS)[0]
    redactions = Counter(entity.kind.value for entity in result.entities)
    return CleanArticle(result.text, languages.detect(text), Counter(taken.counts), redactions)


def known_people(ticket: RawTicket) -> KnownPeople:
    """Return who is known to take part in a ticket, the customer first."""
    contact = ticket.contact
    person = None
    if contact:
        phones = tuple(phone for phone in (contact.phone, contact.mobile) if phone)
        named = Person.from_author(contact.name) if contact.name else Person()
        emails = (contact.email,) if contact.email else ()
        person = Person(named.name, emails + named.emails, phones, named.usernames)
    customers = [turn.author for turn in ticket.turns if turn.role == "customer"]
    agents = [turn.author for turn in ticket.turns if turn.role == "agent"]
    return KnownPeople.of(person, [*customers, *agents])


def public_words(texts: Iterable[str]) -> frozenset[str]:
    """Return capitalised words of at least three articles: product names and buttons, which are nobody's name."""
    from replybench.redaction.names import is_given_name

    counts: Counter[str] = Counter()
    for text in texts:
        words = {word.strip(".,;:!?()[]\"'«»“”…→") for word in text.split()}
        counts.update(word.casefold() for word in words if word[:1].isupper() and word.isalpha())
    return frozenset(word for word, count in counts.items() if count >= 3 and not is_given_name(word))


def _each(draft: Draft, what: str, change: Callable[[DraftTurn], str]) -> Draft:
    turns = tuple(replace(turn, text=change(turn)) for turn in draft.turns)
    changed = sum(len(new.text) < len(old.text) for new, old in zip(turns, draft.turns, strict=True))
    return replace(draft, turns=turns, taken=draft.taken + Counter({what: changed} if changed else {}))
