"""By simulation: how often the verdict errs when it is looked at after every ticket. Seeds are fixed."""

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats  # type: ignore[import-untyped]  # SciPy ships no types

from backend.results.compare import ERROR
from backend.results.sequence import Histogram, excludes_zero

RUNS = 200
TICKETS = 150
Draw = Callable[[np.random.Generator, int], np.ndarray]


def ordinal(rng: np.random.Generator, n: int) -> np.ndarray:
    """Weighted scores of three equal candidates on the rubric; answers to one ticket resemble each other."""
    hardness = rng.normal(0, 0.6, (n, 1, 1))
    scores = np.clip(np.round(rng.normal(3.3 + hardness, 1.1, (n, 3, 4))), 1, 5)
    weighted: np.ndarray = scores @ np.array([0.45, 0.2, 0.2, 0.15])
    return weighted


def mostly_ties(rng: np.random.Generator, n: int) -> np.ndarray:
    scores = np.full((n, 3), 4.0)
    scores[np.arange(n), rng.integers(0, 3, n)] += rng.choice([0.0, 0.0, 0.0, -0.45], n)
    return scores


def seldom_but_heavy(rng: np.random.Generator, n: int) -> np.ndarray:
    """Two equal candidates; one is a little better nearly always, and far worse once in a while: the hard case."""
    a = np.full(n, 4.05)
    a[rng.random(n) < 0.02] = 4.05 - 0.05 / 0.02
    return np.stack([a, np.full(n, 4.0)], axis=1)


def ever_decided(scores: np.ndarray, *, every: int = 1) -> int | None:
    """Return after how many tickets a verdict would first have been "decided" (as in `compare.verdict`)."""
    n, k = scores.shape
    for seen in range(2, n + 1, every):
        leader = int(scores[:seen].mean(axis=0).argmax())
        data = [scores[:seen, leader] - scores[:seen, other] for other in range(k) if other != leader]
        ones = np.ones(seen, dtype=np.int64)
        if all(excludes_zero(Histogram(d, ones), 4, ERROR / k) for d in data):
            return seen
    return None


@pytest.mark.parametrize("draw", [ordinal, mostly_ties, seldom_but_heavy])
def test_without_a_difference_the_verdict_errs_in_at_most_5_percent(draw: Draw) -> None:
    rng = np.random.default_rng(7)
    wrong = sum(ever_decided(draw(rng, TICKETS)) is not None for _ in range(RUNS))
    assert wrong / RUNS <= ERROR


def test_a_test_for_one_look_would_err_far_more_often() -> None:
    """Shows that the simulation can find an error: the paired t test, looked at after every ticket."""
    rng = np.random.default_rng(7)
    wrong = 0
    for _ in range(RUNS):
        scores = ordinal(rng, TICKETS)
        d = scores[:, 0] - scores[:, 1]
        n = np.arange(1, TICKETS + 1)
        mean = np.cumsum(d) / n
        spread = np.sqrt(np.maximum(np.cumsum(d**2) / n - mean**2, 1e-9) * n / np.maximum(n - 1, 1))
        p = 2 * stats.t.sf(np.abs(mean / (spread / np.sqrt(n))), np.maximum(n - 1, 1))
        wrong += bool((p[9:] < 0.05).any())
    assert wrong / RUNS > 3 * ERROR


def test_a_difference_of_0_3_is_decided_for_the_right_one() -> None:
    rng = np.random.default_rng(8)
    found = []
    for _ in range(30):
        scores = ordinal(rng, 600)
        scores[:, 1] = np.clip(scores[:, 1] + 0.3, 1, 5)
        first = ever_decided(scores, every=10)
        assert first is None or scores[:first].mean(axis=0).argmax() == 1
        found.append(first or 600)
    assert np.median(found) < 250
