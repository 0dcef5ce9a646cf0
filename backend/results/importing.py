"""Ratings that were collected elsewhere: a long table (ticket, model, rater, metric, score) becomes a study."""

import csv
import hashlib
import re
from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import isfinite
from pathlib import Path
from typing import NamedTuple
from uuid import UUID, uuid5

from sqlmodel import Session

from db import queries_results as queries
from db import queries_results_import as store
from db.models import Answer, Candidate, Rater, Rating, Study, Suggestion, Ticket, now
from replybench.contract import AnswerStatus, Source
from replybench.errors import Conflict, InvalidInput
from replybench.rubric import rubric

COLUMNS = ("ticket", "model", "rater", "metric", "score")
#: What marks a study as one that an import made, and may bring up to date.
LINEUP = "import"
_NAMESPACE = UUID("6d0f7c53-5a7e-4f0e-9a0c-3f5c0a1b7e11")
_TOLD = 10
_STUDY_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,99}")
_LONGEST = 500


class Place(NamedTuple):
    """One rater's rating of one model's answer to one ticket."""

    ticket: str
    model: str
    rater: str


@dataclass(slots=True)
class RatingsTable:
    """A table as it was read. `repeated` lines said the same as an earlier one."""

    ratings: dict[Place, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    metrics: set[str] = field(default_factory=set)
    lines: int = 0
    repeated: int = 0


@dataclass(frozen=True, slots=True)
class Scale:
    """The scores that can be given; those from `positive_from` up count as positive."""

    lowest: int
    highest: int

    @property
    def positive_from(self) -> int:
        """Return the lowest positive score: the rubric's own, or the middle of another scale (3 of 1 to 5)."""
        own = rubric()
        if (self.lowest, self.highest) == (own.lowest, own.highest):
            return own.positive_from
        return -(-(self.lowest + self.highest) // 2)


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    tickets: int
    models: int
    raters: int
    metrics: int
    added: int
    changed: int
    unchanged: int


def read_table(path: Path, scale: Scale) -> RatingsTable:
    """Read a CSV file (UTF-8, with a header; comma, semicolon or tab).

    Raises:
        InvalidInput: cannot be read, a column is missing, or rows are wrong: with the line numbers of the first ten.
    """
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            return _read(file, path.name, scale)
    except FileNotFoundError as error:
        raise InvalidInput(f"There is no file {path}.") from error
    except IsADirectoryError as error:
        raise InvalidInput(f"{path} is a folder, not a CSV file.") from error
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path.name} is not UTF-8. Save it as CSV in UTF-8.") from error
    except csv.Error as error:
        raise InvalidInput(f"{path.name} is not a CSV file: {error}.") from error


def _read(file: Iterable[str], name: str, scale: Scale) -> RatingsTable:
    lines = iter(file)
    header = next(lines, "")
    delimiter = max(",;\t", key=header.count)
    columns = [cell.strip().lower() for cell in next(csv.reader([header], delimiter=delimiter), [])]
    missing = [column for column in COLUMNS if column not in columns]
    if missing:
        raise InvalidInput(
            f"{name}, line 1: no column {', '.join(missing)}. The columns are {', '.join(COLUMNS)}; others are ignored."
        )
    reader = csv.reader(lines, delimiter=delimiter)
    at = [columns.index(column) for column in COLUMNS]
    table = RatingsTable()
    first: dict[tuple[Place, str], int] = {}
    wrong: list[str] = []
    for cells in reader:
        line = reader.line_num + 1  # the header was read apart
        if not any(cell.strip() for cell in cells):
            continue
        table.lines += 1
        try:
            _take(table, first, line, [cells[i].strip() if i < len(cells) else "" for i in at], scale)
        except ValueError as error:
            wrong.append(f"line {line}: {error}")
    if wrong:
        rest = f" … and {len(wrong) - _TOLD} more." if len(wrong) > _TOLD else ""
        raise InvalidInput(f"{name} was not loaded. {'; '.join(wrong[:_TOLD])}.{rest}")
    if not table.ratings:
        raise InvalidInput(f"{name} has a header and no rows.")
    return table


def _take(table: RatingsTable, first: dict[tuple[Place, str], int], line: int, cells: list[str], scale: Scale) -> None:
    """Take one row in; a ValueError says what is wrong with it (never what it holds beyond the score)."""
    for column, cell in zip(COLUMNS, cells, strict=True):
        if not cell:
            raise ValueError(f"no {column}")
        if len(cell) > _LONGEST or "\x00" in cell:
            raise ValueError(f"the {column} is longer than {_LONGEST} characters or holds a NUL")
    ticket, model, rater, metric, text = cells
    score = _score(text, scale)
    place = Place(ticket, model, rater)
    if (place, metric) in first:
        if table.ratings[place][metric] != score:
            raise ValueError(
                f"another score than line {first[place, metric]} for the same ticket, model, rater, metric"
            )
        table.repeated += 1
        return
    first[place, metric] = line
    table.ratings[place][metric] = score
    table.metrics.add(metric)


def _score(text: str, scale: Scale) -> int:
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"the score is not a number ({text[:20]!r})") from None
    if not number.is_integer():
        raise ValueError(f"the score {text[:20]} is not a whole number")
    if not scale.lowest <= number <= scale.highest:
        raise ValueError(f"the score {text[:20]} is not from {scale.lowest} to {scale.highest} (see --scale)")
    return int(number)


def weights_for(metrics: Iterable[str], given: Mapping[str, float] | None) -> dict[str, float]:
    """Return a weight for each metric, adding up to one: as given, or all equal.

    Raises:
        InvalidInput: a metric without a weight, a weight without a metric, or one that is not above zero.
    """
    found = sorted(metrics)
    if given is None:
        return {metric: 1 / len(found) for metric in found}
    missing, unknown = sorted(set(found) - set(given)), sorted(set(given) - set(found))
    if missing or unknown:
        told = [f"no weight for {', '.join(missing)}"] if missing else []
        told += [f"no such metric in the file: {', '.join(unknown)}"] if unknown else []
        raise InvalidInput(f"--weights: {'; '.join(told)}. Name every metric once: {', '.join(found)}.")
    if not all(isfinite(weight) and weight > 0 for weight in given.values()):
        raise InvalidInput("--weights: every weight must be a number above zero.")
    total = sum(given.values())
    return {metric: given[metric] / total for metric in found}


def load(
    session: Session, name: str, table: RatingsTable, *, scale: Scale, weights: Mapping[str, float] | None
) -> Imported:
    """Store the table as the study `name`: all of it or, when this raises, nothing.

    The same table twice changes nothing. Ratings that the study has and the table has not stay; other scores replace
    the stored ones, which go to the history.

    Raises:
        InvalidInput: a name that cannot be one, or weights that do not fit.
        Conflict: a study of this name was not made by an import.
    """
    study = _study(session, name, table, scale, weights)
    store.lock_study(session, study)
    before = store.stored_scores(session, study)
    ratings = _store_rows(session, study, table, before)
    new = [rating for rating in ratings if rating.id not in before]
    changed = {
        r.id: (before[r.id], merged)
        for r in ratings
        if r.id in before and (merged := {**before[r.id], **r.scores}) != before[r.id]
    }
    store.add_missing(session, new)
    store.replace_scores(session, changed)
    session.flush()
    return Imported(
        tickets=len({place.ticket for place in table.ratings}),
        models=len({place.model for place in table.ratings}),
        raters=len({place.rater for place in table.ratings}),
        metrics=len(table.metrics),
        added=len(new),
        changed=len(changed),
        unchanged=len(ratings) - len(new) - len(changed),
    )


def _study(
    session: Session, name: str, table: RatingsTable, scale: Scale, weights: Mapping[str, float] | None
) -> Study:
    if not _STUDY_NAME.fullmatch(name):
        raise InvalidInput("A study's name is made of small letters, digits, dots and dashes, such as pilot-2026.")
    found = queries.study_named(session, name)
    if found is None:
        study = Study(
            id=_key(name),
            name=name,
            title=name,
            description="Ratings collected elsewhere.",
            lineup=LINEUP,
            rubric_version=rubric().version,
            weights=weights_for(table.metrics, weights),
            lowest=scale.lowest,
            highest=scale.highest,
            positive_from=scale.positive_from,
            is_read_only=True,
            closed_at=now(),
        )
        session.add(study)
        session.flush()
        return study
    if found.lineup != LINEUP or not found.is_read_only:
        raise Conflict(f"The study '{name}' was not imported, so nothing can be imported into it. Choose another name.")
    metrics = {*found.weights, *table.metrics}
    if weights is not None or metrics != set(found.weights):
        found.weights = weights_for(metrics, weights)
    found.lowest, found.highest = min(found.lowest, scale.lowest), max(found.highest, scale.highest)
    found.positive_from = Scale(found.lowest, found.highest).positive_from
    session.add(found)
    session.flush()
    return found


def _store_rows(
    session: Session, study: Study, table: RatingsTable, before: Mapping[UUID, dict[str, int]]
) -> list[Rating]:
    """Store what the ratings hang on, and return the ratings that the table makes. Ids follow from the names."""
    models = sorted({place.model for place in table.ratings})
    raters = sorted({place.rater for place in table.ratings})
    tickets = sorted({place.ticket for place in table.ratings})
    answers = sorted({(place.ticket, place.model) for place in table.ratings})
    candidates = [_candidate(model) for model in models]
    store.add_missing(session, candidates)
    ids = store.candidate_ids(session, [candidate.fingerprint for candidate in candidates])
    of_model = {model: ids[c.fingerprint] for model, c in zip(models, candidates, strict=True)}
    store.add_missing(
        session,
        (Rater(id=_key(study.name, "rater", r), name=r, name_key=f"import {study.name} {r}") for r in raters),
    )
    store.add_missing(session, (_ticket(study, ticket) for ticket in tickets))
    store.add_missing(
        session,
        (
            Suggestion(
                id=_key(study.name, "asked", ticket),
                ticket_id=_key(study.name, "ticket", ticket),
                study_id=study.id,
                lineup=LINEUP,
            )
            for ticket in tickets
        ),
    )
    store.add_missing(
        session,
        (
            Answer(
                id=_key(study.name, "answer", ticket, model),
                suggestion_id=_key(study.name, "asked", ticket),
                candidate_id=of_model[model],
                status=AnswerStatus.DONE,
            )
            for ticket, model in answers
        ),
    )
    return [
        Rating(
            id=_key(study.name, "rating", *place),
            answer_id=_key(study.name, "answer", place.ticket, place.model),
            rater_id=_key(study.name, "rater", place.rater),
            scores=scores,
            slot="",
        )
        for place, scores in table.ratings.items()
    ]


def _ticket(study: Study, ticket: str) -> Ticket:
    return Ticket(
        id=_key(study.name, "ticket", ticket),
        subject=ticket,
        text="",
        text_sha256=hashlib.sha256(f"{study.name}\x1f{ticket}".encode()).hexdigest(),
        source=Source.IMPORT,
        external_id=ticket[:200],
    )


def _candidate(model: str) -> Candidate:
    digest = hashlib.sha256(f"import\x1f{model}".encode()).hexdigest()
    key = re.sub(r"[^a-z0-9._-]+", "-", model.lower()).strip("-._") or "model"
    return Candidate(fingerprint=digest, key=key, name=model, engine="import", note="Rated elsewhere.")


def _key(*parts: str) -> UUID:
    return uuid5(_NAMESPACE, "\x1f".join(parts))
