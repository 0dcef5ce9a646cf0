"""What ratings teach, as pure functions: rated answers in, pairs (better against worse) and labels out.

A pair is made on one ticket alone, from raters who scored both answers, so that a strict rater does not look like a
bad answer. A correction is a pair too: what the rater wrote against what the model wrote.
"""

import hashlib
import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations, groupby
from typing import Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict

from db.queries_training import RatedRow
from replybench.prompts import Turn
from training.dataset import Split, Thread


class Rules(BaseModel):
    """When a difference between answers is clear enough to learn from.

    Attributes:
        min_margin: least difference of weighted scores (1 to 5), as the mean over the raters who scored both.
        min_agreement: least share of those raters who see the difference the same way.
        min_positive: least share (by weight, over raters) of positive scores of an answer labelled good; one with at
            most 1 - `min_positive` is labelled bad; what is between teaches nothing.
        heldout_share: of the tickets, to judge by.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    min_margin: float = 0.5
    min_agreement: float = 0.75
    min_positive: float = 0.75
    heldout_share: float = 0.15


class Provenance(BaseModel):
    """Where a row comes from: ids in the database (or a thread's id), no texts and no people.

    `corrected_share` is how much of the answer a correction rewrote: 0 (nothing) to 1 (all of it).
    """

    ticket: str
    answers: list[str] = []
    ratings: list[str] = []
    candidates: list[str] = []
    thread: str | None = None
    corrected_share: float | None = None


class _Row(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    split: Split
    subject: str
    turns: tuple[Turn, ...]
    language: str | None
    provenance: Provenance


class Pair(_Row):
    """The same ticket with a better and a worse answer. `raters` scored both; a correction has one."""

    kind: Literal["rating", "correction"]
    chosen: str
    rejected: str
    margin: float | None
    agreement: float
    raters: int


class Label(_Row):
    """An answer that is good or bad by itself."""

    kind: Literal["rating", "correction", "outcome"]
    answer: str
    is_good: bool
    positive_share: float


@dataclass(slots=True)
class Made:
    """What ratings gave, and why the rest gave nothing (counts by reason)."""

    pairs: list[Pair] = field(default_factory=list)
    labels: list[Label] = field(default_factory=list)
    left_out: Counter[str] = field(default_factory=Counter)


def weighted(scores: Mapping[str, int], weights: Mapping[str, float]) -> float:
    """Return the weighted score of one rating; NaN if a metric is missing."""
    if any(key not in scores for key in weights):
        return math.nan
    return sum(weight * scores[key] for key, weight in weights.items()) / sum(weights.values())


def positive_share(scores: Mapping[str, int], weights: Mapping[str, float], positive_from: int) -> float:
    """Return the share, by weight, of a rating's metrics whose score counts as positive."""
    good = sum(weight for key, weight in weights.items() if scores.get(key, 0) >= positive_from)
    return good / sum(weights.values())


def learn(rows: Sequence[RatedRow], weights: Mapping[str, float], positive_from: int, rules: Rules) -> Made:
    """Return all pairs and labels that a study's ratings give.

    Args:
        rows: a rater's scores of an answer each; those of one ticket come together.
        weights: metric → weight, the study's own.
        positive_from: the lowest score that counts as positive.
        rules: what is clear enough.
    """
    made = Made()
    for _, group in groupby(rows, key=lambda row: row.ticket_id):
        of_ticket = list(group)
        by_answer: dict[UUID, list[RatedRow]] = defaultdict(list)
        for row in of_ticket:
            by_answer[row.answer_id].append(row)
        for one, other in combinations(sorted(by_answer), 2):
            _add_pair(made, by_answer[one], by_answer[other], weights, rules)
        for answer in by_answer.values():
            _add_label(made, answer, weights, positive_from, rules)
        for row in of_ticket:
            _add_correction(made, row, rules)
    return made


def _add_pair(
    made: Made, one: list[RatedRow], other: list[RatedRow], weights: Mapping[str, float], rules: Rules
) -> None:
    first, second = {row.rater_id: row for row in one}, {row.rater_id: row for row in other}
    both = sorted(first.keys() & second.keys())
    gaps = [weighted(first[who].scores, weights) - weighted(second[who].scores, weights) for who in both]
    gaps = [gap for gap in gaps if not math.isnan(gap)]
    if not gaps:
        made.left_out["pair: nobody scored both"] += 1
        return
    margin = sum(gaps) / len(gaps)
    agreement = sum(gap * margin > 0 for gap in gaps) / len(gaps)
    better, worse = (one, other) if margin > 0 else (other, one)
    if _same(better[0].answer, worse[0].answer):
        made.left_out["pair: same words"] += 1
    elif abs(margin) < rules.min_margin:
        made.left_out["pair: too close"] += 1
    elif agreement < rules.min_agreement:
        made.left_out["pair: raters disagree"] += 1
    else:
        made.pairs.append(
            Pair(
                **_common(better[0], rules, "pair", str(better[0].answer_id), str(worse[0].answer_id)),
                provenance=_provenance([*better, *worse], both),
                kind="rating",
                chosen=better[0].answer,
                rejected=worse[0].answer,
                margin=abs(margin),
                agreement=agreement,
                raters=len(gaps),
            )
        )


def _add_correction(made: Made, row: RatedRow, rules: Rules) -> None:
    if not row.corrected or not row.corrected.strip():
        return
    if _same(row.corrected, row.answer):
        made.left_out["correction: same words"] += 1
        return
    common = _common(row, rules, "correction", str(row.rating_id))
    origin = _provenance([row], [row.rater_id]).model_copy(update={"corrected_share": row.corrected_share})
    made.pairs.append(
        Pair(
            **common,
            provenance=origin,
            kind="correction",
            chosen=row.corrected.strip(),
            rejected=row.answer,
            margin=None,
            agreement=1.0,
            raters=1,
        )
    )
    label = _common(row, rules, "corrected", str(row.rating_id))
    made.labels.append(
        Label(
            **label,
            provenance=origin,
            kind="correction",
            answer=row.corrected.strip(),
            is_good=True,
            positive_share=1.0,
        )
    )


def _add_label(
    made: Made, rows: list[RatedRow], weights: Mapping[str, float], positive_from: int, rules: Rules
) -> None:
    share = sum(positive_share(row.scores, weights, positive_from) for row in rows) / len(rows)
    is_good, is_bad = share >= rules.min_positive, share <= 1 - rules.min_positive
    if not (is_good or is_bad):
        made.left_out["label: neither good nor bad"] += 1
        return
    made.labels.append(
        Label(
            **_common(rows[0], rules, "label", str(rows[0].answer_id)),
            provenance=_provenance(rows, [row.rater_id for row in rows]),
            kind="rating",
            answer=rows[0].answer,
            is_good=is_good,
            positive_share=share,
        )
    )


def from_threads(threads: Iterable[Thread]) -> list[Label]:
    """Return the last answer of each thread whose outcome is known, good after a success and bad after a failure.

    The split is the data set's own, so that what is held out there is held out here.
    """
    labels = []
    for thread in threads:
        if thread.outcome == "unknown":
            continue
        last = max(index for index, turn in enumerate(thread.turns) if turn.role == "agent")
        is_good = thread.outcome == "success"
        labels.append(
            Label(
                id=_id("outcome", thread.id),
                split=thread.split,
                subject=thread.subject,
                turns=thread.turns[:last],
                language=thread.language,
                provenance=Provenance(ticket=thread.id, thread=thread.id),
                kind="outcome",
                answer=thread.turns[last].text,
                is_good=is_good,
                positive_share=float(is_good),
            )
        )
    return labels


def side(subject: str, turns: Sequence[Turn], heldout_share: float) -> Split:
    """Return which side of the split a ticket is on. Its words decide, so a ticket asked twice is on one side."""
    text = "\x1f".join([subject, *(turn.text for turn in turns)])
    place = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8]) / 2**64
    return "heldout" if place < heldout_share else "train"


def _common(row: RatedRow, rules: Rules, *key: str) -> dict[str, object]:
    turns = _turns(row)
    return {
        "id": _id(*key),
        "split": side(row.subject, turns, rules.heldout_share),
        "subject": row.subject,
        "turns": turns,
        "language": row.language,
    }


def _turns(row: RatedRow) -> tuple[Turn, ...]:
    earlier = [Turn("agent" if turn["role"] == "agent" else "customer", turn["text"]) for turn in row.earlier]
    return (*earlier, Turn("customer", row.text))


def _provenance(rows: Sequence[RatedRow], raters: Sequence[UUID]) -> Provenance:
    counted = [row for row in rows if row.rater_id in set(raters)]
    return Provenance(
        ticket=str(rows[0].ticket_id),
        answers=list(dict.fromkeys(str(row.answer_id) for row in rows)),
        ratings=[str(row.rating_id) for row in counted],
        candidates=list(dict.fromkeys(row.candidate_key for row in rows)),
    )


def _id(*parts: str) -> str:
    return hashlib.sha256("\x1f".join(parts).encode()).hexdigest()[:16]


def _same(one: str, other: str) -> bool:
    return " ".join(one.split()).casefold() == " ".join(other.split()).casefold()
