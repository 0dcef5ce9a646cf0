"""Charts of the candidates' scores."""

from datetime import datetime, time, timedelta
from typing import Any

import plotly.graph_objects as go  # type: ignore[import-untyped]  # Plotly ships no types
from plotly.subplots import make_subplots  # type: ignore[import-untyped]  # Plotly ships no types

from console.charts import style
from console.charts.words import Words, behind, names
from replybench.results_contract import CandidateResult, ResultsPublic


def weighted(results: ResultsPublic, words: Words) -> go.Figure:
    """Return each candidate's weighted score with its interval."""
    _ = words.gettext
    name, colour = names(results), style.colours(results)
    figure = go.Figure()
    for candidate in _best_last(results):
        interval = candidate.interval
        score = candidate.weighted
        told = (
            _("95% interval {interval}").format(interval=words.span(interval.lower, interval.upper))
            if interval
            else words.reason(candidate.reason) or _("no interval")
        )
        arms = (
            {
                "type": "data",
                "symmetric": False,
                "array": [interval.upper - score],
                "arrayminus": [score - interval.lower],
                "thickness": 2,
                "width": 6,
            }
            if interval and score is not None
            else None
        )
        figure.add_scatter(
            x=[score],
            y=[style.label(name[candidate.id])],
            error_x=arms,
            mode="markers+text",
            text=[words.value(score)],
            textposition="top center",
            marker={"size": 13, "color": colour[candidate.id]},
            customdata=[[behind(candidate=candidate.id)]],
            hovertemplate=f"<b>{style.label(name[candidate.id], 40)}</b><br>{words.value(score)}<br>{told}<br>"
            f"{words.tickets(candidate.tickets)}<extra></extra>",
        )
    figure.update_xaxes(range=[results.lowest - 0.05, results.highest + 0.05], dtick=1)
    figure.update_yaxes(showgrid=False, range=[-0.5, len(results.candidates) - 0.3])
    height = 110 + 52 * len(results.candidates)
    return style.finish(figure, _("Weighted score"), words.behind(results), height=height)


def contributions(results: ResultsPublic, words: Words) -> go.Figure:
    """Return what each metric adds to the weighted score: weight times mean."""
    _ = words.gettext
    name = names(results)
    ordered = _best_last(results)
    shades = ("#37505a", "#68808a", "#9aadb5", "#c6d2d7", "#7f6f60", "#a8998a", "#cfc4b8", "#5c6b5c")
    figure = go.Figure()
    for i, metric in enumerate(results.metrics):
        values = [next(m.contribution for m in c.metrics if m.metric == metric.key) for c in ordered]
        figure.add_bar(
            name=f"{words.metric(metric.key)} × {words.number(metric.weight, 2)}",
            x=values,
            y=[style.label(name[c.id]) for c in ordered],
            orientation="h",
            marker={"color": shades[i % len(shades)]},
            text=[words.value(value) for value in values],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            customdata=[[behind(candidate=c.id, metric=metric.key)] for c in ordered],
            hovertemplate="%{y}<br>%{fullData.name}<br>%{text}<extra></extra>",
        )
    figure.update_layout(barmode="stack")
    figure.update_xaxes(range=[0, results.highest], dtick=1)
    figure.update_yaxes(showgrid=False)
    height = 110 + style.NAMED_ROW * len(ordered)
    return style.finish(
        figure, _("What the weighted score is made of"), words.behind(results), height=height, legend=True
    )


def shares(results: ResultsPublic, words: Words) -> go.Figure:
    """Return the shares of negative and positive scores, pooled over the metrics."""
    _ = words.gettext
    name = names(results)
    ordered = [c for c in _best_last(results) if c.negative is not None]
    shades = style.score_colours(results.lowest, results.highest, results.positive_from)
    last_negative = results.positive_from - 1
    figure = go.Figure()
    for title, low, high, colour, values in (
        (_("negative"), results.lowest, last_negative, shades[0], [c.negative for c in ordered]),
        (_("positive"), results.positive_from, results.highest, shades[-1], [c.positive for c in ordered]),
    ):
        figure.add_bar(
            name=f"{title} ({low}–{high})",
            x=values,
            y=[style.label(name[c.id]) for c in ordered],
            orientation="h",
            marker={"color": colour},
            text=[words.percent(value) for value in values],
            textposition="inside",
            insidetextanchor="middle",
            textangle=0,
            hovertemplate="%{y}<br>%{fullData.name}: %{text}<extra></extra>",
        )
    figure.update_layout(barmode="stack")
    figure.update_xaxes(range=[0, 1], tickformat=".0%", dtick=0.25)
    figure.update_yaxes(showgrid=False)
    height = 110 + style.NAMED_ROW * len(ordered)
    return style.finish(figure, _("Negative and positive scores"), words.behind(results), height=height, legend=True)


def distribution(results: ResultsPublic, words: Words) -> go.Figure:
    """Return how often each score was given: bars that part at the border of negative and positive."""
    _ = words.gettext
    name = names(results)
    ordered = [c for c in _best_last(results) if c.ratings]
    rows = max(len(results.metrics), 1)
    figure = make_subplots(
        rows=rows,
        cols=1,
        shared_xaxes=True,
        vertical_spacing=0.32 / rows / max(rows - 1, 1) if rows > 1 else 0,
        subplot_titles=[words.metric(metric.key) for metric in results.metrics],
    )
    shades = style.score_colours(results.lowest, results.highest, results.positive_from)
    scores = list(range(results.lowest, results.highest + 1))
    below = results.positive_from - results.lowest
    # Bars grow from the middle outwards: the negative ones best first, the positive ones worst first.
    for i in [*range(below - 1, -1, -1), *range(below, len(scores))]:
        for row, metric in enumerate(results.metrics, start=1):
            figure.add_trace(
                _score_bar(results, words, ordered, name, metric.key, i, shades[i], first=row == 1), row, 1
            )
    figure.update_layout(barmode="relative")
    figure.update_xaxes(range=[-1, 1], tickvals=[-1, -0.5, 0, 0.5, 1], ticktext=["100%", "50%", "0", "50%", "100%"])
    figure.update_yaxes(showgrid=False)
    figure.update_annotations(x=0, xanchor="left", font={"size": 13})
    height = 118 + rows * (style.NAMED_ROW * len(ordered) + 40)
    style.finish(figure, _("Scores given"), words.behind(results), height=height, legend=True)
    return figure.update_layout(margin_t=88)


def _score_bar(
    results: ResultsPublic,
    words: Words,
    ordered: list[CandidateResult],
    name: dict[str, str],
    metric: str,
    i: int,
    colour: str,
    *,
    first: bool,
) -> go.Bar:
    """Return the bars of one score on one metric; `first` shows it in the legend."""
    counts = [next(m.counts for m in c.metrics if m.metric == metric) for c in ordered]
    totals = [sum(found) for found in counts]
    shares_given = [found[i] / total if total else 0.0 for found, total in zip(counts, totals, strict=True)]
    side = -1 if i < results.positive_from - results.lowest else 1
    score = results.lowest + i
    return go.Bar(
        name=str(score),
        legendgroup=str(score),
        legendrank=score,
        showlegend=first,
        x=[side * share for share in shares_given],
        y=[style.label(name[c.id]) for c in ordered],
        orientation="h",
        marker={"color": colour},
        text=[str(found[i]) if share >= 0.05 else "" for found, share in zip(counts, shares_given, strict=True)],
        textposition="inside",
        insidetextanchor="middle",
        textangle=0,
        customdata=[
            [
                behind(candidate=c.id, metric=metric, lowest=score, highest=score),
                words.metric(metric),
                score,
                found[i],
                words.percent(share),
                total,
            ]
            for c, found, share, total in zip(ordered, counts, shares_given, totals, strict=True)
        ],
        hovertemplate="%{y}<br>%{customdata[1]} %{customdata[2]}: %{customdata[3]} / %{customdata[5]} "
        "(%{customdata[4]})<extra></extra>",
    )


def means(results: ResultsPublic, words: Words) -> go.Figure:
    """Return the means per metric with their intervals, candidates side by side."""
    _ = words.gettext
    name, colour = names(results), style.colours(results)
    figure = go.Figure()
    rated = [c for c in reversed(_best_last(results)) if c.ratings]
    for i, candidate in enumerate(rated):
        shift = (i - (len(rated) - 1) / 2) * 0.2
        told = [m for m in candidate.metrics if m.mean is not None]
        at = [len(results.metrics) - 1 - [w.key for w in results.metrics].index(m.metric) - shift for m in told]
        figure.add_scatter(
            name=style.label(name[candidate.id], 40),
            x=[m.mean for m in told],
            y=at,
            mode="markers",
            marker={"size": 11, "color": colour[candidate.id]},
            error_x={
                "type": "data",
                "symmetric": False,
                "array": [m.interval.upper - (m.mean or 0) if m.interval else 0 for m in told],
                "arrayminus": [(m.mean or 0) - m.interval.lower if m.interval else 0 for m in told],
                "thickness": 2,
                "width": 4,
            },
            customdata=[
                [
                    behind(candidate=candidate.id, metric=m.metric),
                    words.metric(m.metric),
                    words.value(m.mean),
                    words.span(m.interval.lower, m.interval.upper) if m.interval else "–",
                ]
                for m in told
            ],
            hovertemplate="<b>%{fullData.name}</b><br>"
            "%{customdata[1]}: %{customdata[2]} (%{customdata[3]})<extra></extra>",
        )
    figure.update_xaxes(range=[results.lowest - 0.05, results.highest + 0.05], dtick=1)
    figure.update_yaxes(
        tickvals=list(range(len(results.metrics))),
        ticktext=[words.metric(metric.key) for metric in reversed(results.metrics)],
        range=[-0.6, len(results.metrics) - 0.4],
        showgrid=False,
    )
    height = 110 + 56 * len(results.metrics)
    return style.finish(figure, _("Mean score per metric"), words.behind(results), height=height, legend=True)


def trend(results: ResultsPublic, words: Words) -> go.Figure:
    """Return the weighted score over time: each day as a dot, all up to that day as a line."""
    _ = words.gettext
    name, colour = names(results), style.colours(results)
    figure = go.Figure()
    for candidate in reversed(_best_last(results)):
        points = [point for point in results.trend if point.candidate == candidate.id]
        if not points:
            continue
        figure.add_scatter(
            name=style.label(name[candidate.id], 40),
            x=[point.day for point in points],
            y=[point.so_far for point in points],
            mode="lines+markers" if len(points) == 1 else "lines",
            line={"color": colour[candidate.id], "width": 2.5},
            legendgroup=candidate.id,
            customdata=[[words.value(p.so_far), words.value(p.mean), p.ratings] for p in points],
            hovertemplate="<b>%{fullData.name}</b><br>%{x|%Y-%m-%d}: %{customdata[0]}<extra></extra>",
        )
        figure.add_scatter(
            x=[point.day for point in points],
            y=[point.mean for point in points],
            mode="markers",
            marker={"color": colour[candidate.id], "opacity": 0.45, "size": 7},
            legendgroup=candidate.id,
            showlegend=False,
            customdata=[
                [behind(**{"candidate": p.candidate, "from": p.day.isoformat(), "to": p.day.isoformat()}), p.ratings]
                for p in points
            ],
            hovertemplate="%{x|%Y-%m-%d}: %{y:.2f} (%{customdata[1]})<extra></extra>",
        )
    figure.update_yaxes(range=[results.lowest - 0.05, results.highest + 0.05], dtick=1)
    figure.update_xaxes(tickformat="%d %b<br>%Y", showgrid=False, **_days(results))
    return style.finish(figure, _("Weighted score over time"), words.behind(results), height=300, legend=True)


def _days(results: ResultsPublic) -> dict[str, Any]:
    """Return where the axis of days has its ticks: never two on a day."""
    days = sorted({point.day for point in results.trend})
    if not days or (days[-1] - days[0]).days >= 8:
        return {"nticks": 8}
    margin = timedelta(hours=12)
    first, last = (datetime.combine(day, time()) for day in (days[0], days[-1]))
    return {"tickvals": days, "range": [first - margin, last + margin]}


def _best_last(results: ResultsPublic) -> list[CandidateResult]:
    """Return the candidates such that the best is drawn on top."""
    return sorted(results.candidates, key=lambda c: (c.weighted is not None, c.weighted or 0, c.name))
