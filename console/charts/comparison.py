"""Charts of differences: candidate against candidate, and who leads for which weights."""

import plotly.graph_objects as go  # type: ignore[import-untyped]  # Plotly ships no types

from console.charts import style
from console.charts.words import Words, names
from replybench.results_contract import PairResult, ResultsPublic


def differences(results: ResultsPublic, words: Words) -> go.Figure:
    """Return each pair's difference in weighted score; thick, the interval for one look, thin, for all looks."""
    _ = words.gettext
    told = [pair for pair in reversed(results.pairs) if pair.weighted.mean is not None]
    rows = [_pair_label(pair, results) for pair in told]
    figure = go.Figure()
    for title, width, colour, intervals in (
        (_("holds at every look (decides the verdict)"), 2, style.GREY, [pair.always for pair in told]),
        (_("95% for a single look (bootstrap)"), 7, "#16808f", [pair.weighted.interval for pair in told]),
    ):
        x: list[float | None] = []
        y: list[str | None] = []
        for row, found in zip(rows, intervals, strict=True):
            if found is not None:
                x += [found.lower, found.upper, None]
                y += [row, row, None]
        figure.add_scatter(name=title, x=x, y=y, mode="lines", line={"width": width, "color": colour}, hoverinfo="skip")
    figure.add_scatter(
        x=[pair.weighted.mean for pair in told],
        y=rows,
        mode="markers",
        marker={"size": 11, "color": "#0b4c57", "line": {"width": 1.5, "color": "#ffffff"}},
        showlegend=False,
        customdata=[
            [
                words.signed(pair.weighted.mean),
                words.span(pair.weighted.interval.lower, pair.weighted.interval.upper)
                if pair.weighted.interval
                else "–",
                words.span(pair.always.lower, pair.always.upper) if pair.always else "–",
                words.p(pair.weighted.p_holm),
                words.tickets(pair.weighted.tickets),
            ]
            for pair in told
        ],
        hovertemplate="%{y}<br><b>%{customdata[0]}</b><br>"
        + _("one look: {interval}").format(interval="%{customdata[1]}")
        + "<br>"
        + _("every look: {interval}").format(interval="%{customdata[2]}")
        + "<br>Wilcoxon p (Holm): %{customdata[3]}<br>%{customdata[4]}<extra></extra>",
    )
    figure.add_vline(x=0, line={"width": 1, "color": style.GREY, "dash": "dot"})
    figure.update_yaxes(showgrid=False, range=[-0.6, len(told) - 0.4])
    return style.finish(
        figure,
        _("Differences, paired by ticket"),
        words.behind(results),
        height=110 + 58 * max(len(told), 1),
        legend=True,
    )


def _pair_label(pair: PairResult, results: ResultsPublic) -> str:
    name = names(results)
    return f"{style.label(name[pair.first], 28)}<br>− {style.label(name[pair.second], 28)}"


def per_metric(results: ResultsPublic, words: Words) -> go.Figure:
    """Return the leader's difference from every other candidate on each metric."""
    _ = words.gettext
    name, colour = names(results), style.colours(results)
    leader = results.verdict.leader
    figure = go.Figure()
    pairs = [pair for pair in results.pairs if leader in (pair.first, pair.second)]
    for i, pair in enumerate(pairs):
        sign, other = (1, pair.second) if pair.first == leader else (-1, pair.first)
        shift = (i - (len(pairs) - 1) / 2) * 0.2
        told = [d for d in pair.metrics if d.mean is not None]
        keys = [metric.key for metric in results.metrics]
        half = [(d.interval.upper - d.interval.lower) / 2 if d.interval else 0 for d in told]
        figure.add_scatter(
            name=_("against {candidate}").format(candidate=style.label(name[other], 40)),
            x=[sign * (d.mean or 0) for d in told],
            y=[len(keys) - 1 - keys.index(d.metric) - shift for d in told],
            mode="markers",
            marker={"size": 11, "color": colour[other]},
            error_x={"type": "data", "array": half, "thickness": 2, "width": 4},
            customdata=[
                [words.metric(d.metric), words.signed(sign * (d.mean or 0)), words.p(d.p_holm), d.tickets] for d in told
            ],
            hovertemplate="<b>%{customdata[0]}</b> %{fullData.name}: %{customdata[1]}<br>"
            "Wilcoxon p (Holm): %{customdata[2]}<extra></extra>",
        )
    figure.add_vline(x=0, line={"width": 1, "color": style.GREY, "dash": "dot"})
    figure.update_yaxes(
        tickvals=list(range(len(results.metrics))),
        ticktext=[words.metric(metric.key) for metric in reversed(results.metrics)],
        range=[-0.6, len(results.metrics) - 0.4],
        showgrid=False,
    )
    title = _("The leader on each metric")
    return style.finish(figure, title, words.behind(results), height=110 + 56 * len(results.metrics), legend=True)


def sensitivity(results: ResultsPublic, words: Words) -> go.Figure:
    """Return who leads as the weight of one metric goes from 0 to 1, and where the weight stands."""
    _ = words.gettext
    name, colour = names(results), style.colours(results)
    entries = [entry for entry in reversed(results.sensitivity) if entry.spans]
    figure = go.Figure()
    leaders = [c.id for c in results.candidates if any(s.leader == c.id for e in entries for s in e.spans)]
    for ref in leaders:
        spans = [(words.metric(e.metric), s) for e in entries for s in e.spans if s.leader == ref]
        figure.add_bar(
            name=style.label(name[ref], 40),
            y=[metric for metric, _span in spans],
            x=[span.upper - span.lower for _metric, span in spans],
            base=[span.lower for _metric, span in spans],
            orientation="h",
            marker={"color": colour[ref], "line": {"width": 0}},
            customdata=[
                _("{lower} to {upper}").format(lower=words.percent(s.lower, 0), upper=words.percent(s.upper, 0))
                for _metric, s in spans
            ],
            hovertemplate="%{y}: %{customdata}<br><b>%{fullData.name}</b><extra></extra>",
        )
    figure.add_scatter(
        name=_("weight now"),
        x=[entry.weight for entry in entries],
        y=[words.metric(entry.metric) for entry in entries],
        mode="markers",
        marker={"symbol": "diamond", "size": 13, "color": "#ffffff", "line": {"width": 2, "color": "#1b2529"}},
        customdata=[words.percent(entry.weight, 0) for entry in entries],
        hovertemplate="%{y}: %{customdata}<extra></extra>",
    )
    figure.update_layout(barmode="overlay")
    figure.update_xaxes(range=[0, 1], tickformat=".0%", dtick=0.25)
    figure.update_yaxes(showgrid=False)
    title = _("Who leads, by weight of a metric")
    height = 110 + 44 * max(len(entries), 1)
    return style.finish(figure, title, words.behind(results), height=height, legend=True)
