"""How all charts look: one colour per candidate throughout, calm axes, a line that says how much stands behind."""

from collections.abc import Sequence
from textwrap import wrap

import plotly.graph_objects as go  # type: ignore[import-untyped]  # Plotly ships no types

from replybench.results_contract import ResultsPublic

#: Mid tones that keep their contrast on white and on the dark background.
CANDIDATES = ("#16808f", "#c9762b", "#7767d6", "#5b9140", "#bd5177", "#74858d", "#a08222", "#4482c4")
#: Scores from worst to best; the middle belongs to the positive side.
_NEGATIVE = ("#a8452f", "#db9a84")
_POSITIVE = ("#bcd3de", "#73a9c2", "#2d7391")
GREY = "#8a979d"
_GRID = "rgba(138, 151, 157, 0.28)"
#: Pixels for one bar with its gap, and for one beside a name of two or three lines.
ROW, NAMED_ROW = 30, 42


def colours(results: ResultsPublic) -> dict[str, str]:
    """Return candidate id → colour; the same whatever is filtered out."""
    order = [choice.value for choice in results.choices.candidates] or [c.id for c in results.candidates]
    return {ref: CANDIDATES[i % len(CANDIDATES)] for i, ref in enumerate(order)}


def score_colours(lowest: int, highest: int, positive_from: int) -> list[str]:
    """Return a colour for each score of the scale, worst first."""
    return [
        *_spread(_NEGATIVE, positive_from - lowest),
        *_spread(_POSITIVE, highest - positive_from + 1),
    ]


def _spread(shades: Sequence[str], count: int) -> list[str]:
    if count <= 1:
        return [shades[len(shades) // 2]] * count
    return [shades[round(i * (len(shades) - 1) / (count - 1))] for i in range(count)]


def label(name: str, width: int = 24) -> str:
    """Return a name broken into lines, with nothing that Plotly would take for markup."""
    safe = name.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
    return "<br>".join(wrap(safe, width, max_lines=3, placeholder="…", break_on_hyphens=False))


def finish(figure: go.Figure, title: str, behind: str, *, height: int, legend: bool = False) -> go.Figure:
    """Give a figure its title, the line of what stands behind it, and the common looks."""
    # On a narrow screen the legend has one line for each entry.
    below = 20 + 14 * sum(trace.showlegend is not False for trace in figure.data) if legend else 0
    figure.update_layout(
        title={
            "text": title,
            "subtitle": {"text": behind, "font": {"size": 12, "color": GREY}},
            "x": 0,
            "xref": "container",
            "xanchor": "left",
            "y": 1,
            "yref": "container",
            "yanchor": "top",
            "pad": {"t": 12, "l": 4},
            "font": {"size": 16},
        },
        height=height + below,
        margin={"l": 8, "r": 28, "t": 66, "b": 40 + below},
        showlegend=legend,
        legend={"orientation": "h", "y": 0, "yref": "container", "yanchor": "bottom", "x": 0, "traceorder": "normal"},
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        hoverlabel={"align": "left", "namelength": -1},
        bargap=0.28,
        uniformtext={"minsize": 10, "mode": "hide"},
        font={"family": "system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif", "size": 13},
        modebar={"orientation": "h", "bgcolor": "rgba(0,0,0,0)"},
    )
    figure.update_xaxes(gridcolor=_GRID, zeroline=False, automargin=True, fixedrange=True)
    figure.update_yaxes(gridcolor=_GRID, zeroline=False, automargin=True, fixedrange=True, ticklabelstandoff=6)
    return figure
