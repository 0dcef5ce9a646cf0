"""Intervals and tests on figures that are paired by ticket: pure functions of histograms and sums."""

from collections.abc import Mapping, Sequence
from math import sqrt

import numpy as np
from numpy.typing import NDArray
from scipy import stats  # type: ignore[import-untyped]  # SciPy ships no types

from backend.results.sequence import Histogram
from replybench.results_contract import Interval

LEVEL = 0.95
#: Up to so many tickets the interval of a paired difference is a bootstrap; beyond, the t interval of the same mean,
#: which then differs from it by less than is shown (docs/RESULTS.md).
BOOTSTRAP_UP_TO = 1_000
RESAMPLES = 4_999
#: Up to so many tickets SciPy ranks the differences one by one (exactly, for few and without ties).
_RANKED_UP_TO = 2_000


def t_interval(n: int, total: float, squares: float) -> Interval | None:
    """Return the t interval of a mean from its sums; None under two values or without variation."""
    if n < 2:
        return None
    mean = total / n
    variance = max(squares / n - mean * mean, 0.0) * n / (n - 1)
    if variance < 1e-12:
        return None
    half = float(stats.t.ppf((1 + LEVEL) / 2, n - 1)) * sqrt(variance / n)
    return Interval(lower=mean - half, upper=mean + half, level=LEVEL, method="t")


def mean_interval(data: Histogram) -> Interval | None:
    """Return the interval of the mean of paired differences: bootstrap (BCa) over tickets, `t` for very many.

    None where there is nothing to resample: under two tickets, or all differences equal.
    """
    if data.n < 2 or len(data.values) < 2:
        return None
    if data.n > BOOTSTRAP_UP_TO:
        return t_interval(data.n, float(data.values @ data.counts), float(data.values**2 @ data.counts))
    sample = data.expanded()
    for method in ("BCa", "percentile"):
        found = stats.bootstrap(
            (sample,),
            np.mean,
            n_resamples=RESAMPLES,
            batch=max(1, 1_000_000 // data.n),
            confidence_level=LEVEL,
            method=method,
            rng=np.random.default_rng(20240601),  # the same data always give the same interval
        ).confidence_interval
        if np.isfinite(found.low) and np.isfinite(found.high):
            kind = "bca" if method == "BCa" else "percentile"
            return Interval.model_validate({"lower": found.low, "upper": found.high, "level": LEVEL, "method": kind})
    return None


def wilcoxon(data: Histogram) -> float | None:
    """Return the two-sided p of Wilcoxon's signed-rank test with Pratt's zeros; None if all differences are zero."""
    if data.n == 0 or not np.any(data.values != 0):
        return None
    if data.n <= _RANKED_UP_TO:
        return float(stats.wilcoxon(data.expanded(), zero_method="pratt").pvalue)
    return wilcoxon_of_many(data)


def wilcoxon_of_many(data: Histogram) -> float:
    """Return the same p by the normal approximation, at a cost that does not grow with the tickets."""
    size, at = np.unique(np.abs(data.values), return_inverse=True)
    groups = np.bincount(at, weights=data.counts.astype(np.float64))
    rank = np.cumsum(groups) - (groups - 1) / 2
    n, zeros = float(data.n), float(groups[0]) if size[0] == 0 else 0.0
    positive = float((rank[at] * data.counts)[data.values > 0].sum())
    centre = (n * (n + 1) - zeros * (zeros + 1)) / 4
    variance = n * (n + 1) * (2 * n + 1) - zeros * (zeros + 1) * (2 * zeros + 1)
    tied = groups[size != 0]
    variance -= float((tied**3 - tied).sum()) / 2
    z = (positive - centre) / sqrt(variance / 24)
    return float(2 * stats.norm.sf(abs(z)))


def holm(values: Sequence[float | None]) -> list[float | None]:
    """Return the p values corrected by Holm's step-down; those that do not exist stay out of the count."""
    known = sorted((p, i) for i, p in enumerate(values) if p is not None)
    corrected: list[float | None] = [None] * len(values)
    highest = 0.0
    for rank, (p, i) in enumerate(known):
        highest = max(highest, min(1.0, p * (len(known) - rank)))
        corrected[i] = highest
    return corrected


def friedman(placings: Mapping[tuple[int, ...], int]) -> tuple[float, int, float] | None:
    """Return Friedman's statistic (corrected for ties), its degrees of freedom, and p.

    Args:
        placings: the places of all k candidates on a ticket (equal numbers are ties) → on how many tickets.

    Returns:
        None under three candidates, without tickets, or if all tickets are all ties.
    """
    k = len(next(iter(placings), ()))
    n = sum(placings.values())
    if k < 3 or n == 0:
        return None
    sums: NDArray[np.float64] = np.zeros(k)
    ties = 0.0
    for places, times in placings.items():
        sums += times * stats.rankdata(places)
        _, groups = np.unique(places, return_counts=True)
        ties += times * float((groups.astype(float) ** 3 - groups).sum())
    correction = 1 - ties / (n * k * (k * k - 1))
    if correction <= 1e-12:
        return None
    statistic = (12 * float((sums**2).sum()) / (n * k * (k + 1)) - 3 * n * (k + 1)) / correction
    return statistic, k - 1, float(stats.chi2.sf(statistic, k - 1))
