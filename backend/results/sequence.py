"""A confidence sequence for a mean of bounded values: an interval that holds at every look, however often one looks.

Live charts are repeated looking. A test made for one look, made after every ticket, is wrong far more often than it
says; the sequence is right at all looks together with the stated probability.

How: bet against each possible mean m. With values x in [0, 1], the capital after betting the share u on "the mean is
above m" is K(m) = prod(1 + u (x/m - 1)). If m is the true mean, the capital stays at 1 on average, so by Ville's
inequality it *ever* reaches 1/a with probability at most a: every m whose capital has reached that is excluded for
good. The share u is not guessed: the capital is spread over many shares from timid to bold, once, at the start.

Such capital depends on the multiset of values alone, not on their order, so it can be computed from how often each
difference occurred: its cost does not grow with the tickets. It assumes nothing of the distribution but the bounds, and
holds for every number of tickets.

Sources: J. Ville (1939); T. Cover, "Universal portfolios" (1991); I. Waudby-Smith and A. Ramdas, "Estimating means of
bounded random variables by betting", J. R. Stat. Soc. B 86 (2024); F. Orabona and K. Jun, "Tight concentrations and
confidence sequences from the regret of universal portfolio", IEEE Trans. Inf. Theory 70 (2024).
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

#: Shares of the capital that are bet, from timid (finds small differences, late) to bold (large ones, early).
SHARES: Floats = np.geomspace(0.005, 0.98, 18)
#: How the capital is spread over them: more on the bold ones, which pays for differences that matter to a team
#: (0.2 to 0.5 points) and costs little for smaller ones.
_LOG_PRIOR: Floats = np.log(np.sqrt(SHARES) / np.sqrt(SHARES).sum())
#: More tickets than this are not promised: the spread will not stay the same for so long.
MOST_TICKETS = 100_000


@dataclass(frozen=True, slots=True)
class Histogram:
    """How often each value occurred: `values` ascending and distinct, `counts` positive."""

    values: Floats
    counts: NDArray[np.int64]

    @classmethod
    def of(cls, counted: dict[float, int]) -> "Histogram":
        """Make one from value → times."""
        kept = sorted((value, times) for value, times in counted.items() if times > 0)
        return cls(np.array([v for v, _ in kept], dtype=np.float64), np.array([n for _, n in kept], dtype=np.int64))

    @property
    def n(self) -> int:
        """Return how many values there are, each as often as it occurred."""
        return int(self.counts.sum())

    @property
    def mean(self) -> float:
        """Return the mean; there must be a value."""
        return float(self.values @ self.counts / self.n)

    @property
    def variance(self) -> float:
        """Return the sample variance (n - 1); there must be two values."""
        return float(self.counts @ (self.values - self.mean) ** 2 / (self.n - 1))

    def negated(self) -> "Histogram":
        """Return the histogram of the negative values."""
        return Histogram(-self.values[::-1], self.counts[::-1])

    def expanded(self) -> Floats:
        """Return every value as often as it occurred."""
        return np.repeat(self.values, self.counts)


def _log_capital(rates: Floats, tickets: float) -> float:
    """Return the log of the capital spread over all shares, each growing by its rate per ticket."""
    logs = rates * tickets + _LOG_PRIOR
    top = logs.max()
    return float(top + np.log(np.exp(logs - top).sum()))


def _rates(data: Histogram, bound: float, mean: float) -> Floats:
    """Return each share's average log growth per ticket when it bets that the true mean is above `mean`."""
    x = (data.values + bound) / (mean + bound)
    return np.log1p(np.outer(SHARES, x - 1)) @ data.counts / data.n


def lower_bound(data: Histogram, bound: float, error: float) -> float:
    """Return the largest m such that the sequence excludes every mean below m.

    Args:
        data: values in [-bound, bound].
        error: the probability that the true mean ever lies below what this returns, over all looks.
    """
    needed = -np.log(error)
    low, high = -bound, data.mean
    if high <= low or _log_capital(_rates(data, bound, low + 1e-9), data.n) < needed:
        return -bound
    for _ in range(50):  # capital falls as m rises, so this is a bisection to far below what is shown
        middle = (low + high) / 2
        if _log_capital(_rates(data, bound, middle), data.n) >= needed:
            low = middle
        else:
            high = middle
    return low


def interval(data: Histogram, bound: float, error: float) -> tuple[float, float]:
    """Return the sequence's interval at this look; each end is wrong, ever, with probability at most `error`."""
    return lower_bound(data, bound, error), -lower_bound(data.negated(), bound, error)


def excludes_zero(data: Histogram, bound: float, error: float) -> bool:
    """Return whether the mean is above zero beyond doubt (`lower_bound` > 0, in one step)."""
    return bool(_log_capital(_rates(data, bound, 0.0), data.n) >= -np.log(error))


def tickets_needed(data: Histogram, bound: float, error: float) -> int | None:
    """Return how many tickets it takes to exclude a mean of zero or less, if the rest is like these.

    None: at no number, or only after `MOST_TICKETS`.
    """
    rates = _rates(data, bound, 0.0)
    needed = -np.log(error)
    if _log_capital(rates, MOST_TICKETS) < needed:
        return None
    low, high = 0, MOST_TICKETS
    while high - low > 1:
        middle = (low + high) // 2
        if _log_capital(rates, middle) >= needed:
            high = middle
        else:
            low = middle
    return high
