"""Each statistic against published figures, SciPy, or a plain computation."""

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some
from scipy import stats  # type: ignore[import-untyped]  # SciPy ships no types

from backend.results import agreement, statistics
from backend.results.sequence import Histogram, excludes_zero, interval, lower_bound, tickets_needed

DIFFERENCES = some.lists(some.integers(-80, 80).map(lambda i: i / 20), min_size=2, max_size=60)


def histogram(values: list[float] | np.ndarray) -> Histogram:
    return Histogram.of(Counter(float(value) for value in values))


# --- Krippendorff's alpha

#: Krippendorff (2011), "Computing Krippendorff's Alpha-Reliability": four observers, twelve units, with missing values.
PUBLISHED = """
1 2 3 3 2 1 4 1 2 . . .
1 2 3 3 2 2 4 1 2 5 . 3
. 3 3 3 2 3 4 2 2 5 1 .
1 2 3 3 2 4 4 1 2 5 1 .
"""


def published_units() -> list[Counter[int]]:
    rows = [line.split() for line in PUBLISHED.strip().splitlines()]
    return [Counter(int(score) for score in column if score != ".") for column in zip(*rows, strict=True)]


@pytest.mark.parametrize(
    ("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849), ("ratio", 0.797)]
)
def test_alpha_of_the_published_example(level: agreement.Level, alpha: float) -> None:
    found = agreement.alpha(published_units(), level)
    assert found is not None
    assert round(found, 3) == alpha


def test_ordinal_alpha_from_patterns_is_the_same() -> None:
    patterns = Counter(
        " ".join(f"{score}:{times}" for score, times in sorted(unit.items()))
        for unit in published_units()
        if sum(unit.values()) > 1
    )
    alpha, found, answers, scores = agreement.ordinal_alpha(patterns)
    assert alpha is not None
    assert round(alpha, 3) == 0.815
    assert (answers, scores) == (11, 40)
    assert found is not None
    assert found.lower < alpha < found.upper <= 1


def test_alpha_is_one_in_full_agreement_and_none_without_variation() -> None:
    assert agreement.alpha([{1: 2}, {5: 3}, {3: 2}]) == pytest.approx(1)
    assert agreement.alpha([{4: 2}, {4: 3}]) is None
    assert agreement.alpha([{4: 1}, {2: 1}]) is None
    assert agreement.ordinal_alpha({}) == (None, None, 0, 0)


def test_alpha_is_about_zero_for_raters_who_guess() -> None:
    rng = np.random.default_rng(1)
    units = [Counter(map(int, rng.integers(1, 6, 3))) for _ in range(2000)]
    assert agreement.alpha(units) == pytest.approx(0, abs=0.04)


def test_interval_of_alpha_is_alike_by_resampling_and_by_sums(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(2)
    truth = rng.integers(1, 6, 400)
    ratings = np.clip(truth[:, None] + rng.integers(-1, 2, (400, 2)), 1, 5)
    patterns = Counter(" ".join(f"{s}:{n}" for s, n in sorted(Counter(map(int, row)).items())) for row in ratings)
    _, resampled, _, _ = agreement.ordinal_alpha(patterns)
    monkeypatch.setattr(agreement, "_RESAMPLED_UP_TO", 0)
    _, summed, _, _ = agreement.ordinal_alpha(patterns)
    assert resampled is not None
    assert summed is not None
    assert (summed.lower, summed.upper) == pytest.approx((resampled.lower, resampled.upper), abs=0.01)


# --- tests and intervals


@settings(deadline=None, max_examples=20)
@given(DIFFERENCES)
def test_wilcoxon_is_scipys(values: list[float]) -> None:
    found = statistics.wilcoxon(histogram(values))
    if not any(values):
        assert found is None
    else:
        assert found == pytest.approx(stats.wilcoxon(values, zero_method="pratt").pvalue)


@settings(deadline=None, max_examples=100)
@given(DIFFERENCES.filter(any))
def test_wilcoxon_of_many_is_scipys_approximation(values: list[float]) -> None:
    expected = stats.wilcoxon(values, zero_method="pratt", method="approx").pvalue
    assert statistics.wilcoxon_of_many(histogram(values)) == pytest.approx(expected, abs=1e-12)


def test_friedman_is_scipys_with_ties() -> None:
    rng = np.random.default_rng(3)
    scores = rng.integers(1, 6, (80, 4))
    placings = Counter(tuple(int(place) for place in stats.rankdata(-row, method="dense")) for row in scores)
    found = statistics.friedman(placings)
    expected = stats.friedmanchisquare(*scores.T)
    assert found is not None
    assert found == (pytest.approx(expected.statistic), 3, pytest.approx(expected.pvalue))


def test_friedman_has_no_answer_for_two_or_for_all_ties() -> None:
    assert statistics.friedman({(1, 2): 10}) is None
    assert statistics.friedman({(1, 1, 1): 10}) is None
    assert statistics.friedman({}) is None


def test_holm_is_statsmodels_and_leaves_out_what_is_not() -> None:
    from statsmodels.stats.multitest import multipletests  # type: ignore[import-untyped]  # ships no types

    values = [0.01, 0.04, 0.03, 0.005]
    assert statistics.holm(values) == pytest.approx(list(multipletests(values, method="holm")[1]))
    assert statistics.holm([None, 0.03, None]) == [None, 0.03, None]
    assert statistics.holm([]) == []


def test_bootstrap_interval_is_scipys_bca() -> None:
    values = np.random.default_rng(4).choice([-1.0, -0.5, 0.0, 0.5, 1.0, 2.0], 120)
    found = statistics.mean_interval(histogram(values))
    rng = np.random.default_rng(20240601)
    expected = stats.bootstrap(
        (np.sort(values),), np.mean, n_resamples=4_999, rng=rng, method="BCa"
    ).confidence_interval
    assert found is not None
    assert (found.method, found.lower, found.upper) == (
        "bca",
        pytest.approx(expected.low, abs=0.01),
        pytest.approx(expected.high, abs=0.01),
    )


def test_bootstrap_and_t_meet_where_one_takes_over() -> None:
    values = np.round(np.random.default_rng(5).normal(0.2, 1.1, statistics.BOOTSTRAP_UP_TO) * 20) / 20
    bootstrap = statistics.mean_interval(histogram(values))
    t = statistics.t_interval(len(values), values.sum(), (values**2).sum())
    assert bootstrap is not None
    assert t is not None
    assert (bootstrap.lower, bootstrap.upper) == pytest.approx((t.lower, t.upper), abs=0.005)


@pytest.mark.parametrize("values", [[], [1.0], [0.0, 0.0, 0.0], [0.5, 0.5]])
def test_no_interval_where_nothing_varies(values: list[float]) -> None:
    assert statistics.mean_interval(histogram(values)) is None


# --- the confidence sequence


@settings(deadline=None, max_examples=100)
@given(DIFFERENCES, some.randoms())
def test_sequence_does_not_depend_on_the_order_and_holds_the_mean(values: list[float], random) -> None:  # type: ignore[no-untyped-def]  # hypothesis's own
    data = histogram(values)
    lower, upper = interval(data, 4, 0.025)
    assert -4 <= lower <= data.mean <= upper <= 4
    random.shuffle(values)
    assert interval(histogram(values), 4, 0.025) == (lower, upper)
    assert (lower > 0) == excludes_zero(data, 4, 0.025) or abs(lower) < 1e-9


def test_sequence_mirrors() -> None:
    data = histogram([0.5, 1.0, -0.25, 0.75] * 40)
    lower, upper = interval(data, 4, 0.02)
    assert interval(data.negated(), 4, 0.02) == pytest.approx((-upper, -lower))


def test_sequence_narrows_and_is_wider_than_one_look() -> None:
    rng = np.random.default_rng(6)
    values = np.round(np.clip(rng.normal(0.3, 1, 3000), -4, 4) * 20) / 20
    widths = []
    for n in (30, 300, 3000):
        lower, upper = interval(histogram(values[:n]), 4, 0.025)
        once = statistics.t_interval(n, values[:n].sum(), (values[:n] ** 2).sum())
        assert once is not None
        assert lower < once.lower
        assert once.upper < upper
        widths.append(upper - lower)
    assert widths == sorted(widths, reverse=True)


def test_tickets_needed_is_where_the_sequence_leaves_zero_out() -> None:
    values = [0.5, 1.0, -0.5, 0.25, 0.0, 1.5, -1.0, 0.75]
    needed = tickets_needed(histogram(values), 4, 0.025)
    assert needed is not None
    repeats = -(-needed // len(values))
    assert excludes_zero(histogram(values * repeats), 4, 0.025)
    assert not excludes_zero(histogram(values * (repeats - 1)), 4, 0.025)


def test_no_number_of_tickets_decides_a_tie() -> None:
    assert tickets_needed(histogram([0.0] * 20), 4, 0.025) is None
    assert tickets_needed(histogram([-1.0, 1.0] * 20), 4, 0.025) is None
    assert lower_bound(histogram([0.0] * 20), 4, 0.025) < 0
