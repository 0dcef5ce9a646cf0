"""Krippendorff's alpha: how far raters of the same answers agree beyond chance.

Written here because the packages that have it are GPL. Source: K. Krippendorff, "Computing Krippendorff's
Alpha-Reliability" (2011), whose worked example the tests repeat.
"""

from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from backend.results.statistics import LEVEL
from replybench.results_contract import Interval

Floats = NDArray[np.float64]
Level = Literal["nominal", "ordinal", "interval", "ratio"]
#: value → times, for one answer
Unit = Mapping[int, int]

_RESAMPLES = 1_000
#: Up to so many distinct tickets each is resampled; beyond, their sums are drawn from the normal distribution that such
#: sums follow by then.
_RESAMPLED_UP_TO = 1_500


def coincidences(unit: Unit, values: Sequence[int]) -> Floats:
    """Return the unit's coincidence matrix over `values`: all ordered pairs of its scores, each 1/(scores - 1)."""
    counts = np.array([unit.get(value, 0) for value in values], dtype=np.float64)
    scores = counts.sum()
    if scores < 2:
        return np.zeros((len(values), len(values)))
    return np.asarray((np.outer(counts, counts) - np.diag(counts)) / (scores - 1))


def distances(marginals: Floats, values: Sequence[int], level: Level) -> Floats:
    """Return the squared distance of each pair of values; `marginals` (…, k) may have leading dimensions."""
    v = np.asarray(values, dtype=np.float64)
    if level == "nominal":
        return np.broadcast_to(1 - np.eye(len(v)), (*marginals.shape, len(v)))
    if level == "interval":
        return np.broadcast_to((v[:, None] - v) ** 2, (*marginals.shape, len(v)))
    if level == "ratio":
        total = v[:, None] + v
        ratio = np.divide(v[:, None] - v, total, out=np.zeros_like(total), where=total != 0) ** 2
        return np.broadcast_to(ratio, (*marginals.shape, len(v)))
    # ordinal: the number of scores between the two values, counting half of each end
    below = np.cumsum(marginals, axis=-1) - marginals / 2
    return np.asarray((below[..., :, None] - below[..., None, :]) ** 2)


def alpha_of(matrix: Floats, values: Sequence[int], level: Level = "ordinal") -> Floats:
    """Return alpha of coincidence matrices (…, k, k); NaN where all scores are the same value."""
    marginals = matrix.sum(axis=-1)
    n = marginals.sum(axis=-1)
    delta = distances(marginals, values, level)
    observed = (matrix * delta).sum(axis=(-1, -2))
    expected = (marginals[..., :, None] * marginals[..., None, :] * delta).sum(axis=(-1, -2))
    with np.errstate(divide="ignore", invalid="ignore"):
        return np.asarray(1 - (n - 1) * observed / expected)


def alpha(units: Sequence[Unit], level: Level = "ordinal") -> float | None:
    """Return alpha of `units`; None without a unit that two raters scored, or if all scores are the same."""
    values = sorted({value for unit in units if sum(unit.values()) > 1 for value in unit})
    if len(values) < 2:
        return None
    total = np.sum([coincidences(unit, values) for unit in units], axis=0)
    return float(alpha_of(total, values, level))


def ordinal_alpha(tickets: Mapping[str, int]) -> tuple[float | None, Interval | None, int, int]:
    """Return alpha, its interval by resampling tickets, and the numbers of answers and of scores behind it.

    Args:
        tickets: pattern of a ticket ("score:times score:times|…", one part per answer) → how many tickets have it.
    """
    parsed = [([_unit(part) for part in pattern.split("|")], times) for pattern, times in tickets.items()]
    answers = sum(len(units) * times for units, times in parsed)
    scores = sum(sum(unit.values()) * times for units, times in parsed for unit in units)
    values = sorted({value for units, _ in parsed for unit in units for value in unit})
    if len(values) < 2:
        return None, None, answers, scores
    each = np.array([np.sum([coincidences(unit, values) for unit in units], axis=0) for units, _ in parsed])
    times = np.array([times for _, times in parsed], dtype=np.int64)
    estimate = float(alpha_of(np.tensordot(times, each, axes=1), values))
    return estimate, _interval(each, times, values), answers, scores


def _unit(text: str) -> Unit:
    return {int(score): int(times) for score, _, times in (part.partition(":") for part in text.split())}


def _interval(each: Floats, times: NDArray[np.int64], values: Sequence[int]) -> Interval | None:
    """Return the percentile interval of alpha over resampled tickets; `each` (tickets, k, k) occur `times`."""
    n = int(times.sum())
    if n < 2:
        return None
    rng = np.random.default_rng(20240601)
    flat = each.reshape(len(each), -1)
    if len(each) <= _RESAMPLED_UP_TO:
        drawn = rng.multinomial(n, times / n, size=_RESAMPLES) @ flat
    else:
        mean = times @ flat / n
        centred = flat - mean
        covariance = (centred * times[:, None]).T @ centred * n / (n - 1)
        drawn = rng.multivariate_normal(mean * n, covariance, size=_RESAMPLES, method="svd")
    alphas = alpha_of(drawn.reshape(-1, len(values), len(values)), values)
    known = alphas[np.isfinite(alphas)]
    if len(known) < _RESAMPLES // 2:
        return None
    lower, upper = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Interval(lower=float(lower), upper=float(upper), level=LEVEL, method="percentile")
