"""Language, handed in: sentences, numbers and the metrics' names."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import date
from urllib.parse import urlencode

from replybench.results_contract import Reason, ResultsPublic


def _same(message: str) -> str:
    return message


def _count(one: str, many: str, count: int) -> str:
    return (one if count == 1 else many).format(count=f"{count:,}".replace(",", " "))


def _decimal(value: float, digits: int = 2) -> str:
    return f"{value:.{digits}f}".replace("-", "−")


@dataclass(frozen=True)
class Words:
    """How to say things; English unless told otherwise. `metrics` maps a metric's key to its name."""

    gettext: Callable[[str], str] = _same
    ngettext: Callable[[str, str, int], str] = _count
    number: Callable[[float, int], str] = _decimal
    metrics: Mapping[str, str] = field(default_factory=dict)

    def metric(self, key: str) -> str:
        """Return a metric's name; '' is the weighted score."""
        if not key:
            _ = self.gettext
            return _("Weighted score")
        return self.metrics.get(key) or key.replace("_", " ").capitalize()

    def value(self, figure: float | None, digits: int = 2) -> str:
        """Return a figure, or a dash where there is none."""
        return "–" if figure is None else self.number(figure, digits)

    def signed(self, figure: float | None, digits: int = 2) -> str:
        """Return a difference with its sign."""
        if figure is None:
            return "–"
        text = self.number(abs(figure), digits)
        return f"{'+' if figure > 0 else '−' if figure < 0 else ''}{text}"

    def percent(self, share: float | None, digits: int = 1) -> str:
        """Return a share as a percentage."""
        return "–" if share is None else f"{self.number(100 * share, digits)}%"

    def p(self, value: float | None) -> str:
        """Return a p value, small ones as "< 0.001"."""
        if value is None:
            return "–"
        return f"< {self.number(0.001, 3)}" if value < 0.001 else self.number(value, 3)

    def span(self, lower: float, upper: float, digits: int = 2) -> str:
        """Return an interval."""
        _ = self.gettext
        return _("{lower} to {upper}").format(lower=self.number(lower, digits), upper=self.number(upper, digits))

    def day(self, day: date) -> str:
        """Return a day, the same in all languages."""
        return day.isoformat()

    def reason(self, reason: Reason | None) -> str:
        """Return why a figure cannot be told, and what would help."""
        _ = self.gettext
        sentences = {
            Reason.NO_RATINGS: _("There are no ratings yet."),
            Reason.ONE_TICKET: _("One ticket alone has no spread; rate a second one."),
            Reason.ONE_CANDIDATE: _("Only one candidate has ratings, so there is nothing to compare it with."),
            Reason.TWO_CANDIDATES: _("This test is for three or more candidates; the paired one covers two."),
            Reason.NO_COMMON_TICKET: _("No ticket has ratings of all the candidates compared."),
            Reason.ALL_TIES: _("On every ticket the candidates scored the same."),
            Reason.MISSING_SCORES: _("Some metric has no score, so the weighted score cannot be made up."),
            Reason.ONE_RATER: _("No answer was scored by two raters, so agreement cannot be told."),
            Reason.NO_VARIATION: _("All values are the same, so there is no spread to judge by."),
            Reason.COUNTS_ONLY: _(
                "Only counts were published, not which scores belong to the same ticket: nothing can be paired."
            ),
            Reason.ONE_SLOT: _("Every candidate must have been scored in every place; not yet so."),
        }
        return "" if reason is None else sentences[reason]

    def size(self, tickets: int, ratings: int, raters: int) -> str:
        """Return how much stands behind a chart."""
        ngettext = self.ngettext
        counted = ngettext("{count} rater", "{count} raters", raters)
        return f"{self.tickets(tickets)} · {self.ratings(ratings)} · {counted}"

    def tickets(self, count: int) -> str:
        """Return a number of tickets."""
        ngettext = self.ngettext
        return ngettext("{count} ticket", "{count} tickets", count)

    def ratings(self, count: int) -> str:
        """Return a number of ratings."""
        ngettext = self.ngettext
        return ngettext("{count} rating", "{count} ratings", count)

    def behind(self, results: ResultsPublic) -> str:
        """Return how much stands behind all of a study's charts."""
        if results.study.counts_only:
            _ = self.gettext
            return _("Counts as published; {stated} stated for each").format(
                stated=max((figure.stated_scores for figure in results.printed if figure.metric), default=0)
            )
        return self.size(results.size.tickets, results.size.ratings, results.size.raters)


def names(results: ResultsPublic) -> dict[str, str]:
    """Return candidate id → name, told apart by key where two have the same name."""
    every = [candidate.name for candidate in results.candidates]
    return {c.id: c.name if every.count(c.name) == 1 else f"{c.name} ({c.key})" for c in results.candidates}


def behind(**parameters: str | int) -> str:
    """Return what GET /api/results/answers is asked for the answers behind a point of a chart."""
    return urlencode(parameters)
