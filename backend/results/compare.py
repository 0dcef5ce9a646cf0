"""From tallies to the candidates' figures, their differences, and the verdict."""

from collections.abc import Mapping, Sequence
from itertools import combinations, pairwise

from backend.results import sequence, statistics
from backend.results.reading import WEIGHTED, Read, Subject, Sums
from replybench.results_contract import (
    CandidateResult,
    Difference,
    Friedman,
    Interval,
    MetricResult,
    PairResult,
    Reason,
    Sensitivity,
    Span,
    Verdict,
)

#: The probability with which the verdict may ever be wrong, over all looks and all candidates.
ERROR = 0.05


def candidate_results(subject: Subject, read: Read) -> list[CandidateResult]:
    """Return every candidate's figures, also of those without a rating."""
    return [_candidate(subject, read, row.ref, row.key, row.name, row.snapshots) for row in subject.candidates]


def _candidate(subject: Subject, read: Read, ref: str, key: str, name: str, snapshots: int) -> CandidateResult:
    metrics = [_metric(subject, read, ref, metric) for metric in subject.weights]
    contributions = [metric.contribution for metric in metrics]
    complete = read.means.get((ref, WEIGHTED), Sums())
    counts = [sum(column) for column in zip(*(metric.counts for metric in metrics), strict=True)]
    below = subject.positive_from - subject.lowest
    scores = sum(counts)
    weighted = sum(c for c in contributions if c is not None) if None not in contributions else None
    ratings = read.size("ratings", ref)
    return CandidateResult(
        id=ref,
        key=key,
        name=name,
        snapshots=snapshots,
        tickets=read.size("tickets", ref),
        ratings=ratings,
        metrics=metrics,
        weighted=weighted,
        weighted_tickets=complete.n,
        interval=statistics.t_interval(*complete),
        negative=sum(counts[:below]) / scores if scores else None,
        positive=sum(counts[below:]) / scores if scores else None,
        reason=None if weighted is not None else Reason.MISSING_SCORES if scores else Reason.NO_RATINGS,
    )


def _metric(subject: Subject, read: Read, ref: str, metric: str) -> MetricResult:
    found = read.scores.get((ref, metric), {})
    counts = [found.get(score, 0) for score in range(subject.lowest, subject.highest + 1)]
    sums = read.means.get((ref, metric), Sums())
    n = sum(counts)
    below = subject.positive_from - subject.lowest
    return MetricResult(
        metric=metric,
        counts=counts,
        tickets=sums.n,
        mean=sums.mean,
        interval=statistics.t_interval(*sums),
        mean_of_scores=sum(score * times for score, times in found.items()) / n if n else None,
        contribution=None if sums.mean is None else subject.weights[metric] * sums.mean,
        negative=sum(counts[:below]) / n if n else None,
    )


def pair_results(subject: Subject, read: Read, candidates: Sequence[CandidateResult]) -> list[PairResult]:
    """Return every pair of rated candidates, the better one of the two first; p values corrected over the pairs."""
    rated = sorted((c for c in candidates if c.ratings), key=lambda c: (-(c.weighted or 0), c.name))
    couples = [(first.id, second.id) for first, second in combinations(rated, 2)]
    by_metric = {
        metric: _differences(read, couples, metric, whole=metric == WEIGHTED) for metric in (WEIGHTED, *subject.weights)
    }
    pairs = []
    for i, (first, second) in enumerate(couples):
        data = read.pair(first, second, WEIGHTED)
        always = more = None
        if data.n:
            error = ERROR / len(rated)
            lower, upper = sequence.interval(data, subject.span, error)
            always = Interval(lower=lower, upper=upper, level=1 - 2 * error, method="betting")
            better = data if data.mean >= 0 else data.negated()
            needed = sequence.tickets_needed(better, subject.span, error)
            more = None if needed is None else max(0, needed - data.n)
        pairs.append(
            PairResult(
                first=first,
                second=second,
                weighted=by_metric[WEIGHTED][i],
                metrics=[by_metric[metric][i] for metric in subject.weights],
                always=always,
                more_tickets=more,
            )
        )
    return pairs


def _differences(read: Read, couples: Sequence[tuple[str, str]], metric: str, *, whole: bool) -> list[Difference]:
    """Return the differences of all pairs on one metric. `whole`: the weighted score, whose interval is a bootstrap."""
    histograms = [read.pair(first, second, metric) for first, second in couples]
    tests = [statistics.wilcoxon(data) for data in histograms]
    found = []
    for data, p, p_holm in zip(histograms, tests, statistics.holm(tests), strict=True):
        reason = None
        if data.n < 2:
            reason = Reason.ONE_TICKET if data.n else Reason.NO_COMMON_TICKET
        elif len(data.values) == 1:
            reason = Reason.ALL_TIES if data.values[0] == 0 else Reason.NO_VARIATION
        interval = (
            statistics.mean_interval(data)
            if whole
            else statistics.t_interval(data.n, float(data.values @ data.counts), float(data.values**2 @ data.counts))
        )
        found.append(
            Difference(
                metric=metric,
                tickets=data.n,
                mean=data.mean if data.n else None,
                interval=interval,
                p=p,
                p_holm=p_holm,
                wins=int(data.counts[data.values > 0].sum()),
                ties=int(data.counts[data.values == 0].sum()),
                losses=int(data.counts[data.values < 0].sum()),
                reason=reason,
            )
        )
    return found


def friedman_results(subject: Subject, read: Read, candidates: Sequence[CandidateResult]) -> list[Friedman]:
    """Return Friedman's test on the weighted score and on each metric."""
    rated = [c.id for c in candidates if c.ratings]
    results = []
    for metric in (WEIGHTED, *subject.weights):
        placings = read.placings(metric, rated)
        found = statistics.friedman(placings)
        reason = None
        if len(rated) < 3:
            reason = Reason.NO_RATINGS if not rated else Reason.TWO_CANDIDATES
        elif not placings:
            reason = Reason.NO_COMMON_TICKET
        elif found is None:
            reason = Reason.ALL_TIES
        statistic, degrees, p = found or (None, None, None)
        results.append(
            Friedman(
                metric=metric,
                tickets=sum(placings.values()),
                statistic=statistic,
                degrees=degrees,
                p=p,
                reason=reason,
            )
        )
    return results


def verdict(subject: Subject, read: Read, candidates: Sequence[CandidateResult]) -> Verdict:
    """Say whether the leader is better than every other candidate, and how many more tickets it takes if not.

    With k candidates each bound of the sequence may be wrong with 5%/k. A false "decided" in favour of i needs i's
    bound against a candidate that is at least as good to be wrong, so all of them together stay within 5%.
    """
    rated = [c for c in candidates if c.weighted is not None and c.weighted_tickets]
    if len(rated) < 2:
        some = any(c.ratings for c in candidates)
        reason = Reason.ONE_CANDIDATE if rated else Reason.MISSING_SCORES if some else Reason.NO_RATINGS
        return _unknown(rated[0].id if rated else None, len(rated), reason)
    leader = min(rated, key=lambda c: (-(c.weighted or 0), c.name))
    error = ERROR / len(rated)
    others = [(c.id, read.pair(leader.id, c.id, WEIGHTED)) for c in rated if c.id != leader.id]
    if any(data.n == 0 for _, data in others):
        return _unknown(leader.id, len(rated), Reason.NO_COMMON_TICKET)
    bounds = [(sequence.interval(data, subject.span, error), ref, data) for ref, data in others]
    (lower, upper), closest, data = min(bounds, key=lambda bound: bound[0][0])
    decided = lower > 0
    needed = [sequence.tickets_needed(data, subject.span, error) for _, data in others]
    more = max((n or 0) - data.n for n, (_, data) in zip(needed, others, strict=True))
    all_ties = all(len(data.values) == 1 and data.values[0] == 0 for _, data in others)
    return Verdict(
        status="decided" if decided else "open",
        leader=leader.id,
        closest=closest,
        difference=data.mean,
        interval=Interval(lower=lower, upper=upper, level=1 - 2 * error, method="betting"),
        tickets=data.n,
        more_tickets=0 if decided else None if None in needed else max(more, 1),
        compared=len(rated),
        reason=Reason.ALL_TIES if all_ties else None,
    )


def _unknown(leader: str | None, compared: int, reason: Reason) -> Verdict:
    return Verdict(
        status="unknown",
        leader=leader,
        closest=None,
        difference=None,
        interval=None,
        tickets=0,
        more_tickets=None,
        compared=compared,
        reason=reason,
    )


def sensitivity(subject: Subject, candidates: Sequence[CandidateResult]) -> list[Sensitivity]:
    """Return, for each metric, who leads as its weight goes from 0 to 1 while the others keep their proportions."""
    lines = {
        c.id: {m.metric: m.mean for m in c.metrics if m.mean is not None} for c in candidates if c.weighted is not None
    }
    return [
        Sensitivity(metric=metric, weight=weight, spans=_spans(subject.weights, metric, lines))
        for metric, weight in subject.weights.items()
    ]


def _spans(weights: Mapping[str, float], metric: str, means: dict[str, dict[str, float]]) -> list[Span]:
    """Return the leaders along one metric's weight; each candidate's score is a straight line in it."""
    rest = sum(weight for key, weight in weights.items() if key != metric)
    if not means or rest <= 0:
        return []
    ends = {
        ref: (sum(weights[key] * mean for key, mean in own.items() if key != metric) / rest, own[metric])
        for ref, own in means.items()
    }
    cuts = {0.0, 1.0}
    for (a0, a1), (b0, b1) in combinations(ends.values(), 2):
        slope = (a1 - a0) - (b1 - b0)
        if slope and 0 < (at := (b0 - a0) / slope) < 1:
            cuts.add(at)
    spans: list[Span] = []
    ordered = sorted(cuts)
    for lower, upper in pairwise(ordered):
        middle = (lower + upper) / 2
        leader = max(sorted(ends), key=lambda ref: ends[ref][0] * (1 - middle) + ends[ref][1] * middle)
        if spans and spans[-1].leader == leader:
            spans[-1] = Span(lower=spans[-1].lower, upper=upper, leader=leader)
        else:
            spans.append(Span(lower=lower, upper=upper, leader=leader))
    return spans
