"""How often the tests and the verdict err, by simulation.

`python -m benchmarks.calibration` prints the tables of docs/RESULTS.md. Candidates are scored on the rubric (four
metrics, 1 to 5). Answers to one ticket resemble each other, as they do in life: a hard ticket lowers all of them.
Seeds are fixed.
"""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy import stats  # type: ignore[import-untyped]  # SciPy ships no types

from backend.results import statistics
from backend.results.compare import ERROR
from backend.results.sequence import _LOG_PRIOR, SHARES, Histogram, excludes_zero

Scores = NDArray[np.float64]
Draw = Callable[[np.random.Generator, int], Scores]
WEIGHTS = np.array([0.45, 0.2, 0.2, 0.15])
SPAN = 4


def rubric_scores(rng: np.random.Generator, n: int, k: int, raters: int = 1) -> Scores:
    """Return weighted scores (tickets, candidates, raters) of equal candidates."""
    hardness = rng.normal(0, 0.6, (n, 1, 1, 1))
    quality = rng.normal(0, 0.8, (n, k, 1, 1))
    scores = np.clip(np.round(rng.normal(3.3 + hardness + quality, 0.8, (n, k, raters, 4))), 1, 5)
    weighted: Scores = scores @ WEIGHTS
    return weighted


def three(rng: np.random.Generator, n: int) -> Scores:
    return rubric_scores(rng, n, 3)[:, :, 0]


def two(rng: np.random.Generator, n: int) -> Scores:
    return rubric_scores(rng, n, 2)[:, :, 0]


def seldom_but_heavy(rng: np.random.Generator, n: int) -> Scores:
    """One is a little better nearly always, and far worse on one ticket in fifty; equal on average."""
    a = np.where(rng.random(n) < 0.02, 4.05 - 0.05 / 0.02, 4.05)
    return np.stack([a, np.full(n, 4.0)], axis=1)


def log_capital(differences: Scores) -> Scores:
    """Return the log capital after each ticket; the same sums as `sequence`, for all looks at once."""
    growth = np.cumsum(np.log1p(np.outer(differences / SPAN, SHARES)), axis=0) + _LOG_PRIOR
    top = growth.max(axis=1)
    return np.asarray(top + np.log(np.exp(growth - top[:, None]).sum(axis=1)))


def first_decided(scores: Scores) -> tuple[int, int] | None:
    """Return after how many tickets the verdict is first "decided", and for whom."""
    k = scores.shape[1]
    needed = -np.log(ERROR / k)
    means = np.cumsum(scores, axis=0)
    best: tuple[int, int] | None = None
    for i in range(k):
        others = [log_capital(scores[:, i] - scores[:, j]) for j in range(k) if j != i]
        leads = np.all([means[:, i] >= means[:, j] for j in range(k)], axis=0)
        looks = np.flatnonzero(np.all([capital >= needed for capital in others], axis=0) & leads)
        if len(looks) and (best is None or looks[0] + 1 < best[0]):
            best = (int(looks[0]) + 1, i)
    return best


def check_against_the_product(rng: np.random.Generator) -> None:
    """Fail if the sums here are not those of the product."""
    for _ in range(20):
        scores = two(rng, 120)
        d = scores[:, 0] - scores[:, 1]
        mine = log_capital(d)[-1] >= -np.log(0.025)
        assert mine == excludes_zero(Histogram(d, np.ones(len(d), dtype=np.int64)), SPAN, 0.025)


def verdict_errors(runs: int, tickets: int) -> list[tuple[str, str]]:
    rows = []
    for name, draw in (
        ("three equal candidates", three),
        ("two equal candidates", two),
        ("equal on average, seldom but heavy failures", seldom_but_heavy),
    ):
        rng = np.random.default_rng(11)
        wrong = sum(first_decided(draw(rng, tickets)) is not None for _ in range(runs))
        rows.append((f"verdict, {name}, looked at after each of {tickets} tickets", f"{wrong / runs:.1%}"))
    rng = np.random.default_rng(12)
    wrong = sum(_decided_with_late_raters(rng, 100) for _ in range(runs // 10))
    rows.append(
        (
            "verdict, two equal candidates, a second rater of each ticket comes 1 to 30 tickets later, each look",
            f"{wrong / (runs // 10):.1%}",
        )
    )
    return rows


def _decided_with_late_raters(rng: np.random.Generator, n: int) -> bool:
    """Return whether a verdict is ever "decided" although values are revised when a second rater comes."""
    both = rubric_scores(rng, n, 2, raters=2)
    d = both[:, 0] - both[:, 1]
    late = np.arange(n) + rng.integers(1, 31, n)
    for look in range(2, n + 30):
        seen = min(look, n)
        now = np.where(late[:seen] <= look, d[:seen].mean(axis=1), d[:seen, 0])
        for sign in (1, -1):
            if log_capital(sign * now)[-1] >= -np.log(ERROR / 2):
                return True
    return False


def single_look_errors(runs: int, tickets: int) -> list[tuple[str, str]]:
    """Return how often the tests for one look err, made once at the end and made after every ticket."""
    rng = np.random.default_rng(13)
    once = {"wilcoxon": 0, "friedman": 0, "bootstrap": 0, "t": 0}
    each = 0
    for run in range(runs):
        scores = three(rng, tickets)
        d = scores[:, 0] - scores[:, 1]
        once["wilcoxon"] += stats.wilcoxon(d, zero_method="pratt").pvalue < 0.05
        once["friedman"] += stats.friedmanchisquare(*scores.T).pvalue < 0.05
        n = np.arange(1, tickets + 1)
        mean = np.cumsum(d) / n
        spread = np.sqrt(np.maximum(np.cumsum(d**2) / n - mean**2, 1e-12) * n / np.maximum(n - 1, 1))
        p = 2 * stats.t.sf(np.abs(mean) / (spread / np.sqrt(n)), np.maximum(n - 1, 1))
        once["t"] += p[-1] < 0.05
        each += bool((p[9:] < 0.05).any())
        if run < runs // 5:
            values, counts = np.unique(np.round(d, 6), return_counts=True)
            found = statistics.mean_interval(Histogram(values, counts))
            once["bootstrap"] += found is not None and not found.lower <= 0 <= found.upper
    return [
        (f"Wilcoxon (Pratt), once, at {tickets} tickets", f"{once['wilcoxon'] / runs:.1%}"),
        (f"Friedman, once, at {tickets} tickets", f"{once['friedman'] / runs:.1%}"),
        (
            f"bootstrap interval (BCa) leaves out zero, once, at {tickets} tickets",
            f"{once['bootstrap'] / (runs // 5):.1%}",
        ),
        (f"t interval leaves out zero, once, at {tickets} tickets", f"{once['t'] / runs:.1%}"),
        (f"the t interval looked at after each ticket from the 10th to the {tickets}th", f"{each / runs:.1%}"),
    ]


def tickets_until_decided(runs: int, most: int) -> list[tuple[str, ...]]:
    """Return, per true difference and number of candidates, after how many tickets runs are decided."""
    rows = []
    for lift in (0.2, 0.3, 0.5):
        for name, draw in (("two", two), ("three", three)):
            rng = np.random.default_rng(14)
            found, right, spreads = [], 0, []
            for _ in range(runs):
                scores = draw(rng, most)
                scores[:, 0] = np.clip(scores[:, 0] + lift, 1, 5)
                decided = first_decided(scores)
                found.append(decided[0] if decided else most + 1)
                right += decided is None or decided[1] == 0
                spreads.append((scores[:, 0] - scores[:, 1]).std())
            low, middle, high = np.quantile(found, [0.1, 0.5, 0.9])
            told = [f"{x:.0f}" if x <= most else f"> {most}" for x in (low, middle, high)]
            rows.append((f"{lift}", name, f"{np.mean(spreads):.2f}", *told, f"{right / runs:.1%}"))
    return rows


def main() -> None:
    check_against_the_product(np.random.default_rng(10))
    print("| no true difference: how often it errs | share of runs |\n|---|---:|")
    for what, share in (*verdict_errors(2000, 300), *single_look_errors(2000, 150)):
        print(f"| {what} | {share} |")
    print(
        "\n| true difference | candidates | spread (SD) of the difference | decided after: 10% of runs | half | 90% |"
    )
    print("|---:|---|---:|---:|---:|---:|")
    rows = tickets_until_decided(500, 1500)
    for row in rows:
        print(f"| {' | '.join(row[:-1])} |")
    print(
        f"\nDecided for the right one, or not yet, in at least {min(row[-1] for row in rows)} of the runs of each row."
    )


if __name__ == "__main__":
    main()
