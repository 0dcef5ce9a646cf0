"""All charts of a study: each with its picture, its words for those who cannot see it, and its table."""

from dataclasses import dataclass

import plotly.graph_objects as go  # type: ignore[import-untyped]  # Plotly ships no types

from console.charts import scores, tables
from console.charts.tables import Table
from console.charts.words import Words, names
from replybench.results_contract import ResultsPublic


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
    name = names(results)
    found = [
        _chart("weighted", scores.weighted, tables.scores, results, words, _listed(results, words)),
        _chart(
            "shares",
            scores.shares,
            tables.scores,
            results,
            words,
            "; ".join(
                _("{candidate}: {negative} negative, {positive} positive").format(
                    candidate=name[c.id], negative=words.percent(c.negative), positive=words.percent(c.positive)
                )
                for c in results.candidates
                if c.negative is not None
            ),
        ),
        _chart(
            "distribution",
            scores.distribution,
            tables.metrics,
            results,
            words,
            _(
                "How often each score was given, per metric and candidate; scores below {border} count as negative."
            ).format(border=results.positive_from),
        ),
        _chart("means", scores.means, tables.metrics, results, words, _best_per_metric(results, words)),
        _chart(
            "contributions",
            scores.contributions,
            tables.metrics,
            results,
            words,
            _("Weight times mean of each metric; together they are the weighted score."),
        ),
    ]
    if results.trend:
        text = _("Lines: mean of everything up to the day. Dots: mean of the day.")
        found.append(_chart("trend", scores.trend, tables.trend, results, words, text))
    return found


def _chart(key, draw, table, results: ResultsPublic, words: Words, text: str) -> Chart:  # type: ignore[no-untyped-def]  # two functions of this package
    figure = draw(results, words)
    return Chart(key, figure.layout.title.text, figure, text, table(results, words))


def _listed(results: ResultsPublic, words: Words) -> str:
    name = names(results)
    ranked = sorted((c for c in results.candidates if c.weighted is not None), key=lambda c: -(c.weighted or 0))
    return "; ".join(f"{name[c.id]}: {words.value(c.weighted)}" for c in ranked)


def _best_per_metric(results: ResultsPublic, words: Words) -> str:
    name, parts = names(results), []
    for weight in results.metrics:
        told = [
            (m.mean, name[c.id]) for c in results.candidates for m in c.metrics if m.metric == weight.key and m.mean
        ]
        if told:
            mean, best = max(told)
            parts.append(
                words.gettext("{metric}: {best} is highest with {mean}").format(
                    metric=words.metric(weight.key), best=best, mean=words.value(mean)
                )
            )
    return "; ".join(parts)
