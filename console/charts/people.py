"""Charts of the raters (agreement, severity, place on the screen), and of the to-do list."""

from collections.abc import Sequence

import plotly.graph_objects as go  # type: ignore[import-untyped]  # Plotly ships no types

from console.charts import style
from console.charts.words import Words, behind
from replybench.results_contract import Interval, ResultsPublic

_ACCENT = "#16808f"


def agreement(results: ResultsPublic, words: Words) -> go.Figure:
    """Return ordinal alpha per metric, with Krippendorff's marks for tentative (0.667) and reliable (0.8)."""
    _ = words.gettext
    told = [entry for entry in reversed(results.agreement) if entry.alpha is not None]
    figure = go.Figure()
    _dots(
        figure,
        words,
        [words.metric(entry.metric) for entry in told],
        [entry.alpha or 0.0 for entry in told],
        [entry.interval for entry in told],
        [_("{answers} answers").format(answers=entry.answers) for entry in told],
        signed=False,
    )
    low = min([0.0, *(entry.interval.lower for entry in told if entry.interval)])
    for mark in (0.667, 0.8):
        figure.add_vline(x=mark, line={"width": 1, "color": style.GREY, "dash": "dot"})
    figure.update_xaxes(range=[low - 0.05, 1.02])
    height = 110 + 44 * max(len(told), 1)
    return style.finish(figure, _("Agreement of raters (ordinal alpha)"), words.behind(results), height=height)


def severity(results: ResultsPublic, words: Words) -> go.Figure:
    """Return how far each rater scores above or below the others on the same answers."""
    _ = words.gettext
    told = [rater for rater in reversed(results.raters) if rater.severity is not None]
    figure = go.Figure()
    _dots(
        figure,
        words,
        [style.label(rater.name) for rater in told],
        [rater.severity or 0.0 for rater in told],
        [rater.interval for rater in told],
        [_("{answers} answers shared with others").format(answers=rater.shared) for rater in told],
    )
    figure.add_vline(x=0, line={"width": 1, "color": style.GREY, "dash": "dot"})
    height = 110 + 40 * max(len(told), 1)
    return style.finish(figure, _("Severity of raters"), words.behind(results), height=height)


def slots(results: ResultsPublic, words: Words) -> go.Figure:
    """Return whether answers in one place on the screen score higher."""
    _ = words.gettext
    told = [slot for slot in reversed(results.slots) if slot.effect is not None]
    figure = go.Figure()
    _dots(
        figure,
        words,
        [style.label(slot.slot) for slot in told],
        [slot.effect or 0.0 for slot in told],
        [slot.interval for slot in told],
        [words.ratings(slot.ratings) for slot in told],
    )
    figure.add_vline(x=0, line={"width": 1, "color": style.GREY, "dash": "dot"})
    figure.update_yaxes(type="category")
    height = 110 + 40 * max(len(told), 1)
    return style.finish(figure, _("Does the place on the screen matter?"), words.behind(results), height=height)


def todo(results: ResultsPublic, words: Words) -> go.Figure:
    """Return the categories in which the leader failed, the worst on top."""
    _ = words.gettext
    items = list(reversed(results.todo.items[:15]))
    labels = [style.label(item.category or _("No category"), 26) for item in items]
    shades = style.score_colours(results.lowest, results.highest, results.positive_from)
    figure = go.Figure()
    figure.add_bar(
        x=[item.failed for item in items],
        y=labels,
        orientation="h",
        marker={"color": shades[0]},
        text=[f"{item.failed} / {item.tickets}" for item in items],
        textposition="outside",
        cliponaxis=False,
        customdata=[
            [
                behind(
                    candidate=results.todo.candidate or "",
                    metric=results.todo.metric or "",
                    failed="true",
                    category=item.category,
                )
            ]
            for item in items
        ],
        hovertemplate="%{y}: %{text}<extra></extra>",
    )
    most = max((item.failed for item in items), default=1)
    figure.update_xaxes(range=[0, most * 1.18], showticklabels=False, showgrid=False)
    figure.update_yaxes(showgrid=False, type="category")
    return style.finish(
        figure, _("Failed tickets by category"), words.behind(results), height=100 + style.ROW * max(len(items), 1)
    )


def _dots(
    figure: go.Figure,
    words: Words,
    rows: Sequence[str],
    values: Sequence[float],
    intervals: Sequence[Interval | None],
    notes: Sequence[str],
    *,
    signed: bool = True,
) -> None:
    """Add a row of dots with their intervals; `signed` ones are differences."""
    figure.add_scatter(
        x=list(values),
        y=list(rows),
        mode="markers+text",
        text=[words.signed(value) if signed else words.value(value) for value in values],
        textposition="top center",
        cliponaxis=False,
        marker={"size": 11, "color": _ACCENT},
        error_x={
            "type": "data",
            "symmetric": False,
            "array": [found.upper - value if found else 0 for value, found in zip(values, intervals, strict=True)],
            "arrayminus": [value - found.lower if found else 0 for value, found in zip(values, intervals, strict=True)],
            "thickness": 2,
            "width": 5,
        },
        customdata=[
            [words.span(found.lower, found.upper) if found else "–", note]
            for found, note in zip(intervals, notes, strict=True)
        ],
        hovertemplate="<b>%{y}</b>: %{text} (%{customdata[0]})<br>%{customdata[1]}<extra></extra>",
    )
    figure.update_yaxes(showgrid=False, range=[-0.6, len(rows) - 0.3])
