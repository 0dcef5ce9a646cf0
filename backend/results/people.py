"""From tallies to what they say of raters, places on the screen, days, and categories."""

from collections.abc import Mapping, Sequence
from datetime import date
from math import exp, sqrt

from scipy import stats  # type: ignore[import-untyped]  # SciPy ships no types

from backend.results import statistics
from backend.results.agreement import ordinal_alpha
from backend.results.reading import Read, Subject, Sums
from replybench.results_contract import (
    Agreement,
    CandidateResult,
    Interval,
    RaterResult,
    Reason,
    SlotResult,
    Todo,
    TodoItem,
    TrendPoint,
)


def agreement(subject: Subject, read: Read) -> list[Agreement]:
    """Return ordinal alpha for each metric."""
    found = []
    for metric in subject.weights:
        alpha, interval, answers, scores = ordinal_alpha(read.agreement.get(metric, {}))
        reason = None if alpha is not None else Reason.NO_VARIATION if answers else Reason.ONE_RATER
        found.append(
            Agreement(metric=metric, alpha=alpha, interval=interval, answers=answers, scores=scores, reason=reason)
        )
    return found


def raters(read: Read, names: Mapping[str, str]) -> list[RaterResult]:
    """Return what can be told of each rater, by name."""
    found = [_rater(rater, names.get(rater, ""), sums) for rater, sums in read.raters.items()]
    return sorted(found, key=lambda rater: rater.name.casefold())


def _rater(rater: str, name: str, sums: Mapping[str, Sums]) -> RaterResult:
    apart = sums.get("apart", Sums())
    seconds = sums.get("seconds", Sums())
    return RaterResult(
        id=rater,
        name=name,
        ratings=sums.get("given", Sums()).n,
        mean=sums.get("complete", Sums()).mean,
        shared=apart.n,
        severity=apart.mean,
        interval=statistics.t_interval(*apart),
        spread=None if apart.variance is None else sqrt(apart.variance),
        seconds=None if seconds.mean is None else exp(seconds.mean),
        reason=None if apart.n else Reason.ONE_RATER,
    )


def slots(read: Read) -> list[SlotResult]:
    """Return how each place on the screen scores, every candidate weighing the same.

    A place that happened to get the best candidate more often must not look better for it: so the effect is the mean
    over candidates of (the candidate's mean in this place, less its mean over all places). The intervals hold for all
    places together (Bonferroni).
    """
    places = sorted({slot for slot, _ in read.slots})
    refs = sorted({ref for _, ref in read.slots})
    return [_slot(read, slot, places, refs) for slot in places]


def _slot(read: Read, slot: str, places: Sequence[str], refs: Sequence[str]) -> SlotResult:
    cells = {key: sums for key, sums in read.slots.items() if sums.n}
    ratings = sum(sums.n for (place, _), sums in cells.items() if place == slot)
    whole = [ref for ref in refs if all((place, ref) in cells for place in places)]
    if len(places) < 2 or not whole:
        return SlotResult(slot=slot, ratings=ratings, effect=None, interval=None, reason=Reason.ONE_SLOT)
    share = 1 / (len(whole) * len(places))
    effect, variance = 0.0, 0.0
    known = True
    for ref in whole:
        for place in places:
            weight = 1 / len(whole) - share if place == slot else -share
            sums = cells[place, ref]
            effect += weight * sums.s / sums.n
            known = known and sums.variance is not None
            variance += weight**2 * (sums.variance or 0.0) / sums.n
    # What is tallied is a score less its ticket's mean, which has only (k - 1)/k of the score's variance.
    variance *= len(places) / (len(places) - 1)
    level = 1 - (1 - statistics.LEVEL) / len(places)
    half = float(stats.norm.ppf((1 + level) / 2)) * sqrt(variance)
    interval = Interval(lower=effect - half, upper=effect + half, level=level, method="t")
    told = interval if known and variance > 0 else None
    return SlotResult(slot=slot, ratings=ratings, effect=effect, interval=told, reason=None)


def trend(read: Read, candidates: Sequence[CandidateResult]) -> list[TrendPoint]:
    """Return each candidate's days, oldest first."""
    points = []
    for candidate in candidates:
        n, s = 0, 0.0
        for day in sorted(day for day, ref in read.days if ref == candidate.id):
            sums = read.days[day, candidate.id]
            n, s = n + sums.n, s + sums.s
            points.append(
                TrendPoint(
                    day=date.fromisoformat(day),
                    candidate=candidate.id,
                    ratings=sums.n,
                    mean=sums.s / sums.n,
                    so_far=s / n,
                )
            )
    return points


def todo(subject: Subject, read: Read, leader: str | None) -> Todo:
    """Return where the leader failed on the key metric, the worst category first."""
    metric = subject.key_metric if subject.weights else None
    items = read.todo.get(leader or "", {})
    rows = [TodoItem(category=name, tickets=n, failed=failed) for name, (n, failed) in items.items() if failed]
    rows.sort(key=lambda item: (-item.failed, item.tickets, item.category))
    return Todo(candidate=leader, metric=metric, items=rows)
