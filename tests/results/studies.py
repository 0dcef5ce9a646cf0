"""Studies made of ratings, written the way the backend writes them: row by row, in committed transactions."""

from collections.abc import Iterable
from datetime import datetime
from hashlib import sha256

from sqlmodel import Session, select

from db.models import Answer, Candidate, Rater, Rating, Study, Suggestion, Ticket
from replybench.contract import AnswerStatus, Source
from replybench.rubric import rubric

#: ticket, candidate key, rater, scores
Row = tuple[str, str, str, dict[str, int]]


def four(
    content: int, grammar: int | None = None, structure: int | None = None, style: int | None = None
) -> dict[str, int]:
    """Return scores on the rubric; metrics not given get the content's."""
    given = {"content": content, "grammar": grammar, "structure": structure, "style": style}
    return {key: content if score is None else score for key, score in given.items()}


def write_study(session: Session, rows: Iterable[Row], *, name: str = "pilot", **study: object) -> Study:
    """Store a study of these ratings, and return it."""
    values = {"title": name, "rubric_version": 1, "weights": rubric().weights, **study}
    found = session.exec(select(Study).where(Study.name == name)).one_or_none()
    stored = found or Study.model_validate({"name": name, **values})
    session.add(stored)
    session.flush()
    for ticket, candidate, rater, scores in rows:
        write_rating(session, stored, ticket, candidate, rater, scores)
    session.flush()
    return stored


def write_rating(
    session: Session,
    study: Study,
    ticket: str,
    candidate: str,
    rater: str,
    scores: dict[str, int],
    *,
    slot: str = "A",
    source: Source = Source.CONSOLE,
    language: str | None = "en",
    category: str | None = None,
    day: datetime | None = None,
    seconds: float | None = None,
) -> Rating:
    """Store one rating and whatever it needs to hang on."""
    text = f"Text of {ticket} ({study.name})"
    digest = sha256(text.encode()).hexdigest()
    asked = session.exec(select(Ticket).where(Ticket.text_sha256 == digest)).one_or_none()
    if asked is None:
        asked = Ticket(
            subject=ticket,
            text=text,
            text_sha256=digest,
            source=source,
            language=language,
            category=category,
        )
        session.add(asked)
        session.flush()
        session.add(Suggestion(ticket_id=asked.id, study_id=study.id, lineup="test"))
        session.flush()
    suggestion = session.exec(select(Suggestion).where(Suggestion.ticket_id == asked.id)).one()
    model = _one(
        session,
        Candidate,
        fingerprint=candidate,
        key=candidate.split("#")[0],
        name=candidate.split("#")[0].upper(),
        engine="scripted",
    )
    answer = _one(
        session,
        Answer,
        suggestion_id=suggestion.id,
        candidate_id=model.id,
        status=AnswerStatus.DONE,
        text=f"Answer of {candidate}",
    )
    person = _one(session, Rater, name=rater, name_key=rater.casefold())
    rating = Rating(answer_id=answer.id, rater_id=person.id, scores=scores, slot=slot, seconds=seconds)
    if day is not None:
        rating.created_at = day
    session.add(rating)
    session.flush()
    return rating


def _one(session: Session, model: type, **values: object):  # type: ignore[no-untyped-def]  # any of the tables
    found = session.exec(select(model).filter_by(**values)).one_or_none()
    if found is None:
        found = model(**values)
        session.add(found)
        session.flush()
    return found
