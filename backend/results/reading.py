"""Tallies (rows of SQL), sorted into what the statistics take."""

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

from backend.results.sequence import Histogram
from db.queries_results import MICRO, CandidateRow, Tally

#: The metric key of the weighted score.
WEIGHTED = ""


class Sums(NamedTuple):
    """A count, a sum and a sum of squares."""

    n: int = 0
    s: float = 0.0
    q: float = 0.0

    @property
    def mean(self) -> float | None:
        """Return the mean, if there is anything."""
        return self.s / self.n if self.n else None

    @property
    def variance(self) -> float | None:
        """Return the sample variance, from two values on."""
        return max(self.q - self.s * self.s / self.n, 0.0) / (self.n - 1) if self.n > 1 else None


@dataclass(frozen=True, slots=True)
class Subject:
    """What the figures are about: the study's metrics, scale and candidates. `weights` are those in use."""

    weights: Mapping[str, float]
    own_weights: Mapping[str, float]
    lowest: int
    highest: int
    positive_from: int
    candidates: Sequence[CandidateRow]

    @property
    def span(self) -> int:
        """Return how far apart two scores can be."""
        return self.highest - self.lowest

    @property
    def key_metric(self) -> str:
        """Return the metric that an answer must not fail on: content, or the one with the greatest weight."""
        return key_metric(self.own_weights)


def key_metric(weights: Mapping[str, float]) -> str:
    """Return `content`, or the metric with the greatest weight."""
    return "content" if "content" in weights or not weights else max(sorted(weights), key=lambda key: weights[key])


@dataclass(slots=True)
class Read:
    """The tallies of one view; see `db.queries_results` for what is counted."""

    scores: dict[tuple[str, str], dict[int, int]] = field(default_factory=lambda: defaultdict(dict))
    means: dict[tuple[str, str], Sums] = field(default_factory=dict)
    differences: dict[tuple[str, str, str], dict[float, int]] = field(default_factory=lambda: defaultdict(dict))
    orders: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    agreement: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))
    raters: dict[str, dict[str, Sums]] = field(default_factory=lambda: defaultdict(dict))
    slots: dict[tuple[str, str], Sums] = field(default_factory=dict)
    days: dict[tuple[str, str], Sums] = field(default_factory=dict)
    todo: dict[str, dict[str, tuple[int, int]]] = field(default_factory=lambda: defaultdict(dict))
    sizes: dict[tuple[str, str], int] = field(default_factory=dict)
    facets: dict[str, dict[str, int]] = field(default_factory=lambda: defaultdict(dict))

    def size(self, what: str, candidate: str = "") -> int:
        """Return the number of ``tickets`` or ``ratings``, of one candidate or of all."""
        return self.sizes.get((what, candidate), 0)

    def pair(self, first: str, second: str, metric: str) -> Histogram:
        """Return the differences first minus second on the tickets that have both."""
        if first <= second:
            return Histogram.of(self.differences.get((first, second, metric), {}))
        return Histogram.of(self.differences.get((second, first, metric), {})).negated()

    def placings(self, metric: str, candidates: Sequence[str]) -> dict[tuple[int, ...], int]:
        """Return the places of `candidates` on each ticket that has all of them → on how many tickets."""
        found: dict[tuple[int, ...], int] = defaultdict(int)
        for pattern, times in self.orders.get(metric, {}).items():
            places = {ref: int(place) for ref, _, place in (part.partition("=") for part in pattern.split())}
            if all(candidate in places for candidate in candidates):
                found[tuple(places[candidate] for candidate in candidates)] += times
        return dict(found)


def read(tallies: Iterable[Tally]) -> Read:
    """Sort tallies by what they count."""
    found = Read()
    for kind, a, b, c, n, s, q in tallies:
        match kind:
            case "score":
                found.scores[a, b][int(c)] = n
            case "mean":
                found.means[a, b] = Sums(n, s, q)
            case "pair":
                metric, _, difference = c.rpartition("|")
                found.differences[a, b, metric][int(difference) / MICRO] = n
            case "order":
                found.orders[a][b] = n
            case "agree":
                found.agreement[a][b] = n
            case "rater":
                found.raters[a][b] = Sums(n, s, q)
            case "slot":
                found.slots[a, b] = Sums(n, s, q)
            case "day":
                found.days[a, b] = Sums(n, s, q)
            case "todo":
                found.todo[a][b] = (n, round(s))
            case "size":
                found.sizes[a, b] = n
            case "facet":
                found.facets[a][b] = n
    return found
