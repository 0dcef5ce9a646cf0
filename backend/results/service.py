"""GET /api/results: what was asked for → tallies → figures. One door for the API, the reports and the command line."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from math import isclose, isfinite, nan
from uuid import UUID

from sqlmodel import Session

from backend.results import compare, people, published
from backend.results.reading import Read, Subject, key_metric, read
from db import queries_results as queries
from db import queries_results_answers as detail
from db.models import Study
from db.queries_results import View
from db.queries_results_answers import Behind
from replybench.errors import InvalidInput, NotFound
from replybench.results_contract import (
    CandidateResult,
    Choice,
    Choices,
    Filters,
    MetricWeight,
    RatedAnswer,
    RatedAnswers,
    Reason,
    ResultsPublic,
    Size,
    StudyRef,
    Verdict,
)
from replybench.rubric import rubric


@dataclass(frozen=True, slots=True)
class Query:
    """What is asked for. `candidates` are ids or keys; `weights` (metric, weight) replace the study's own."""

    study: str | None = None
    candidates: tuple[str, ...] = ()
    rater: UUID | None = None
    source: str | None = None
    language: str | None = None
    first_day: date | None = None
    last_day: date | None = None
    weights: tuple[tuple[str, float], ...] = field(default=())


def find_study(session: Session, name: str | None) -> Study:
    """Return the study of this name, or the one that is open.

    Raises:
        NotFound: there is none.
    """
    study = queries.study_named(session, name) if name else queries.open_study(session)
    if study is None:
        raise NotFound(f"There is no study '{name}'." if name else "There is no study yet. Rate a first ticket.")
    return study


def current_version(session: Session, study: Study) -> int:
    """Count what has changed in the study, and return the version of its results."""
    return queries.fold(session, study, key_metric=key_metric(ordered(study.weights)))


def results(session: Session, study: Study, query: Query, *, version: int) -> ResultsPublic:
    """Return everything that the charts, tables and reports show.

    Args:
        version: what `current_version` returned in this session.

    Raises:
        InvalidInput: weights that name another metric, are negative, or add up to nothing.
    """
    if study.name == published.NAME:
        return _published(study, query)
    subject = _subject(session, study, query)
    view = _view(query, subject)
    whole = read(queries.kept_tallies(session, study))
    if view.is_whole and subject.weights == subject.own_weights:
        found = whole
    else:
        found = read(queries.tallies(session, study, view, weights=subject.weights, key_metric=subject.key_metric))
    if view.candidates:
        kept = [row for row in subject.candidates if row.ref in view.candidates]
        subject = Subject(
            subject.weights, subject.own_weights, subject.lowest, subject.highest, subject.positive_from, kept
        )
    names = queries.rater_names(session, sorted({*whole.raters, *found.raters}))
    return _assemble(study, query, subject, found, _choices(session, study, whole, names), names, str(version))


def answers(session: Session, study: Study, query: Query, behind: Behind, *, limit: int, offset: int) -> RatedAnswers:
    """Return the tickets and answers behind a figure, newest first.

    Raises:
        InvalidInput: scores or failures asked for without a metric, or of one that the study has not.
    """
    if behind.metric is None and (behind.failed or behind.lowest is not None or behind.highest is not None):
        raise InvalidInput("Name the metric that the score is of.")
    if behind.metric is not None and behind.metric not in study.weights:
        raise InvalidInput(
            f"This study has no metric of that name. Its metrics are {', '.join(ordered(study.weights))}."
        )
    if study.name == published.NAME:
        return RatedAnswers(answers=[])
    subject = _subject(session, study, query)
    names = {row.ref: row.name for row in subject.candidates}
    rows = detail.rated_answers(session, study, _view(query, subject), behind, limit=limit + 1, offset=offset)
    return RatedAnswers(
        answers=[RatedAnswer.model_validate({**row, "candidate": names[row["candidate"]]}) for row in rows[:limit]],
        next_offset=offset + limit if len(rows) > limit else None,
    )


def weights_from(text: str) -> tuple[tuple[str, float], ...]:
    """Read weights as people write them: ``content=0.5,grammar=0.5`` (or with colons).

    Raises:
        InvalidInput: not of that form.
    """
    pairs = []
    for part in filter(None, text.split(",")):
        key, _, value = part.replace(":", "=").rpartition("=")
        try:
            weight = float(value)
        except ValueError:
            weight = nan
        if not key.strip() or not isfinite(weight):
            raise InvalidInput("Weights are given like content=0.5,grammar=0.5.")
        pairs.append((key.strip(), weight))
    return tuple(pairs)


def ordered(weights: Mapping[str, float]) -> dict[str, float]:
    """Return weights in the rubric's order, metrics that it does not know after it, by name."""
    known = [key for key in rubric().keys if key in weights]
    return {key: weights[key] for key in (*known, *sorted(set(weights) - set(known)))}


def _subject(session: Session, study: Study, query: Query) -> Subject:
    own = ordered(study.weights)
    rows = queries.candidates(session, study)
    return Subject(_weights(query, own), own, study.lowest, study.highest, study.positive_from, rows)


def _weights(query: Query, own: dict[str, float]) -> dict[str, float]:
    """Return the weights that were asked for, made to add up to one; the study's own if none were."""
    if not query.weights:
        return own
    asked = dict(query.weights)
    unknown = sorted(set(asked) - set(own))
    if unknown:
        raise InvalidInput(f"This study has no metric {', '.join(unknown)}. Its metrics are {', '.join(own)}.")
    moved = {key: asked.get(key, 0.0) for key in own}
    total = sum(moved.values())
    if min(moved.values(), default=0.0) < 0 or total <= 0:
        raise InvalidInput("Weights must not be negative, and at least one must be above zero.")
    scaled = {key: weight / total for key, weight in moved.items()}
    return own if all(isclose(scaled[key], own[key], abs_tol=1e-9) for key in own) else scaled


def _view(query: Query, subject: Subject) -> View:
    wanted = set(query.candidates)
    refs = [row.ref for row in subject.candidates if row.ref in wanted or row.key in wanted]
    if wanted and not refs:
        raise InvalidInput("None of the candidates asked for has answered in this study.")
    return View(
        candidates=() if len(refs) == len(subject.candidates) else tuple(sorted(refs)),
        rater=query.rater,
        source=query.source or None,
        language=query.language or None,
        first_day=query.first_day,
        last_day=query.last_day,
    )


def _choices(session: Session, study: Study, whole: Read, names: Mapping[str, str]) -> Choices:
    days = sorted({day for day, _ in whole.days})
    counts = {rater: sums["given"].n for rater, sums in whole.raters.items() if "given" in sums}
    return Choices(
        candidates=[
            Choice(value=row.ref, label=row.name, ratings=whole.size("ratings", row.ref))
            for row in queries.candidates(session, study)
        ],
        raters=sorted(
            (Choice(value=rater, label=names.get(rater, ""), ratings=n) for rater, n in counts.items()),
            key=lambda choice: choice.label.casefold(),
        ),
        sources=_facet(whole, "source"),
        languages=_facet(whole, "language"),
        first_day=date.fromisoformat(days[0]) if days else None,
        last_day=date.fromisoformat(days[-1]) if days else None,
    )


def _facet(whole: Read, name: str) -> list[Choice]:
    return [Choice(value=value, label=value, ratings=n) for value, n in sorted(whole.facets.get(name, {}).items())]


def _assemble(
    study: Study, query: Query, subject: Subject, found: Read, choices: Choices, names: Mapping[str, str], version: str
) -> ResultsPublic:
    candidates = compare.candidate_results(subject, found)
    verdict = compare.verdict(subject, found, candidates)
    return ResultsPublic(
        study=_study(study, counts_only=False),
        version=version,
        lowest=subject.lowest,
        highest=subject.highest,
        positive_from=subject.positive_from,
        metrics=_metrics(subject),
        filters=_filters(query),
        choices=choices,
        size=Size(tickets=found.size("tickets"), ratings=found.size("ratings"), raters=len(found.raters)),
        candidates=candidates,
        pairs=compare.pair_results(subject, found, candidates),
        friedman=compare.friedman_results(subject, found, candidates),
        verdict=verdict,
        sensitivity=compare.sensitivity(subject, candidates),
        agreement=people.agreement(subject, found),
        raters=people.raters(found, names),
        slots=people.slots(found),
        trend=people.trend(found, candidates),
        todo=people.todo(subject, found, verdict.leader),
        printed=[],
    )


def _published(study: Study, query: Query) -> ResultsPublic:
    """Return the study of 2024. What needs tickets is not told, and says that only counts were published."""
    subject = published.subject()
    own = dict(subject.own_weights)
    moved = Subject(_weights(query, own), own, 1, 5, 3, subject.candidates)
    candidates = compare.candidate_results(moved, published.reading())
    at_own_weights = compare.candidate_results(subject, published.reading())
    leader = max(candidates, key=lambda c: c.weighted or 0)
    return ResultsPublic(
        study=_study(study, counts_only=True),
        version="published",
        lowest=1,
        highest=5,
        positive_from=3,
        metrics=_metrics(moved),
        filters=Filters(),
        choices=Choices(),
        size=Size(tickets=0, ratings=_most_scores(candidates), raters=0),
        candidates=[c.model_copy(update={"tickets": 0, "weighted_tickets": 0}) for c in candidates],
        pairs=[],
        friedman=[],
        verdict=Verdict(
            status="unknown",
            leader=leader.id,
            closest=None,
            difference=None,
            interval=None,
            tickets=0,
            more_tickets=None,
            compared=len(candidates),
            reason=Reason.COUNTS_ONLY,
        ),
        sensitivity=compare.sensitivity(moved, candidates),
        agreement=[],
        raters=[],
        slots=[],
        trend=[],
        todo=people.todo(moved, Read(), None),
        printed=published.printed(at_own_weights),
    )


def _most_scores(candidates: list[CandidateResult]) -> int:
    """Return how many ratings the counts are of: the metrics' rows do not all add up to the same number."""
    return sum(candidate.ratings for candidate in candidates)


def _study(study: Study, *, counts_only: bool) -> StudyRef:
    return StudyRef(
        name=study.name,
        title=study.title,
        description=study.description,
        is_read_only=study.is_read_only,
        counts_only=counts_only,
    )


def _metrics(subject: Subject) -> list[MetricWeight]:
    return [
        MetricWeight(key=key, weight=weight, own_weight=subject.own_weights[key])
        for key, weight in subject.weights.items()
    ]


def _filters(query: Query) -> Filters:
    return Filters(
        candidates=list(query.candidates),
        rater=query.rater,
        source=query.source,
        language=query.language,
        first_day=query.first_day,
        last_day=query.last_day,
    )
