"""Curves of training runs over one another: loss first, then what it took."""

from collections.abc import Mapping, Sequence

import plotly.graph_objects as go  # type: ignore[import-untyped]  # Plotly ships no types

from console.charts import style
from console.training import Curve
from replybench.training_contract import STUDY_SETTLED


def losses(curves: Sequence[Curve], title: str, subtitle: str, words: Mapping[str, str]) -> go.Figure:
    """Return each run's training loss (thin) and held-out loss (marked), with the study's settling values.

    Args:
        words: the names of ``loss``, ``eval_loss``, ``step`` and ``study`` in the reader's language.
    """
    figure = go.Figure()
    for curve, colour in zip(curves, _colours(len(curves)), strict=True):
        name = style.label(curve.run.name, 40)
        steps, values = curve.line("loss")
        figure.add_scatter(
            x=steps,
            y=values,
            mode="lines",
            name=f"{name}, {words['loss']}",
            legendgroup=curve.run.name,
            line={"color": colour, "width": 1},
            opacity=0.55,
            hovertemplate="%{y:.3f}",
        )
        steps, values = curve.line("eval_loss")
        figure.add_scatter(
            x=steps,
            y=values,
            mode="lines+markers",
            name=f"{name}, {words['eval_loss']}",
            legendgroup=curve.run.name,
            line={"color": colour, "width": 2},
            marker={"size": 7},
            hovertemplate="%{y:.3f}",
        )
    for base, value in STUDY_SETTLED.items():
        figure.add_hline(
            y=value,
            line={"color": style.GREY, "width": 1, "dash": "dot"},
            annotation={"text": f"{words['study']}: {base}, {value}", "font": {"size": 11, "color": style.GREY}},
            annotation_position="top left",
        )
    style.finish(figure, title, subtitle, height=440, legend=True)
    figure.update_layout(hovermode="x unified")
    figure.update_xaxes(title=words["step"])
    figure.update_yaxes(rangemode="normal")
    return figure


def measure(curves: Sequence[Curve], key: str, title: str, step: str) -> go.Figure:
    """Return one measure of each run over its steps."""
    figure = go.Figure()
    for curve, colour in zip(curves, _colours(len(curves)), strict=True):
        steps, values = curve.line(key)
        figure.add_scatter(
            x=steps, y=values, mode="lines", name=style.label(curve.run.name, 40), line={"color": colour, "width": 1.5}
        )
    style.finish(figure, title, "", height=240)
    figure.update_xaxes(title=step)
    return figure


def _colours(count: int) -> list[str]:
    return [style.CANDIDATES[at % len(style.CANDIDATES)] for at in range(count)]
