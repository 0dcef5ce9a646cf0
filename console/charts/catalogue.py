"""All charts of a study: each with its picture, its words for those who cannot see it, and its table."""

from collections.abc import Callable
from dataclasses import dataclass

import plotly.graph_objects as go  # type: ignore[import-untyped]  # Plotly ships no types

from console.charts import comparison, people, scores, tables, verdict
from console.charts.tables import Table
from console.charts.words import Words, names
from replybench.results_contract import ResultsPublic

Draw = Callable[[ResultsPublic, Words], go.Figure]
Tabulate = Callable[[ResultsPublic, Words], Table]


@dataclass(frozen=True, slots=True)
class Chart:
    """A chart. `text` says in words what the picture shows."""

    key: str
    title: str
    figure: go.Figure
    text: str
    table: Table


def overview(results: ResultsPublic, words: Words) -> list[Chart]:
    """Return the charts of how the candidates scored; none before the first rating."""
    if not any(candidate.ratings for candidate in results.candidates):
        return []
    _ = words.gettext
    found = [
        ("weighted", scores.weighted, tables.scores, _ranked(results, words)),
        ("distribution", scores.distribution, tables.metrics, _border(results, words)),
        ("means", scores.means, tables.metrics, _best_per_metric(results, words)),
        ("shares", scores.shares, tables.scores, _shares(results, words)),
        (
            "contributions",
            scores.contributions,
            tables.metrics,
            _("Weight times mean of each metric; together they are the weighted score."),
        ),
    ]
    if results.trend:
        text = _("Lines: mean of everything up to the day. Dots: mean of the day.")
        found.append(("trend", scores.trend, tables.trend, text))
    return [_chart(results, words, *entry) for entry in found]


def comparisons(results: ResultsPublic, words: Words) -> list[Chart]:
    """Return the charts of differences; none where nothing can be paired."""
    _ = words.gettext
    found: list[tuple[str, Draw, Tabulate, str]] = []
    if any(pair.weighted.mean is not None for pair in results.pairs):
        text = verdict.differences(results, words)
        found.append(("differences", comparison.differences, tables.differences, text))
        if results.verdict.leader:
            text = _("To the right of zero the leader is better; bars are 95% intervals for a single look.")
            found.append(("per_metric", comparison.per_metric, tables.differences, text))
    if any(entry.spans for entry in results.sensitivity):
        text = " ".join(verdict.sensitivity(entry, results, words) for entry in results.sensitivity)
        found.append(("sensitivity", comparison.sensitivity, tables.sensitivity, text))
    return [_chart(results, words, *entry) for entry in found]


def raters(results: ResultsPublic, words: Words) -> list[Chart]:
    """Return the charts of the raters, as far as something can be told."""
    found: list[tuple[str, Draw, Tabulate, str]] = []
    if any(entry.alpha is not None for entry in results.agreement):
        found.append(("agreement", people.agreement, tables.agreement, verdict.agreement(results, words)))
    if any(rater.severity is not None for rater in results.raters):
        found.append(("severity", people.severity, tables.raters, verdict.severity(results, words)))
    if any(slot.effect is not None for slot in results.slots):
        found.append(("slots", people.slots, tables.slots, verdict.slots(results, words)))
    return [_chart(results, words, *entry) for entry in found]


def todo(results: ResultsPublic, words: Words) -> list[Chart]:
    """Return the chart of where the leader failed, if it did."""
    if not results.todo.items:
        return []
    return [_chart(results, words, "todo", people.todo, tables.todo, verdict.todo(results, words))]


def _chart(results: ResultsPublic, words: Words, key: str, draw: Draw, tabulate: Tabulate, text: str) -> Chart:
    figure = draw(results, words)
    return Chart(key, figure.layout.title.text, figure, text, tabulate(results, words))


def _ranked(results: ResultsPublic, words: Words) -> str:
    name = names(results)
    ranked = sorted((c for c in results.candidates if c.weighted is not None), key=lambda c: -(c.weighted or 0))
    return "; ".join(f"{name[c.id]}: {words.value(c.weighted)}" for c in ranked) + "."


def _shares(results: ResultsPublic, words: Words) -> str:
    name = names(results)
    _ = words.gettext
    sentence = _("{candidate}: {negative} negative, {positive} positive")
    parts = [
        sentence.format(candidate=name[c.id], negative=words.percent(c.negative), positive=words.percent(c.positive))
        for c in results.candidates
        if c.negative is not None
    ]
    return "; ".join(parts) + "."


def _border(results: ResultsPublic, words: Words) -> str:
    _ = words.gettext
    return _(
        "How often each score was given. Scores from {border} count as positive (to the right), the others as negative."
    ).format(border=results.positive_from)


def _best_per_metric(results: ResultsPublic, words: Words) -> str:
    _ = words.gettext
    name, parts = names(results), []
    for weight in results.metrics:
        told = [
            (m.mean, name[c.id]) for c in results.candidates for m in c.metrics if m.metric == weight.key and m.mean
        ]
        if told:
            mean, best = max(told)
            parts.append(
                _("{metric}: {best} is highest with {mean}").format(
                    metric=words.metric(weight.key), best=best, mean=words.value(mean)
                )
            )
    return "; ".join(parts) + "."
