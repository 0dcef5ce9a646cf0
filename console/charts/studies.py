"""Pictures of a study's progress: where its tickets are, and who has rated how many."""

from collections.abc import Sequence

import plotly.graph_objects as go  # type: ignore[import-untyped]  # Plotly ships no types

from console.charts import style
from console.studies import Place
from replybench.queue_contract import RaterProgress

#: Place in the queue → colour: the further a ticket is, the stronger; what failed stands out.
_COLOURS = {
    "complete": "#16808f",
    "begun": "#5aa9b4",
    "answered": "#a3cdd3",
    "written": "#c9762b",
    "waiting": style.GREY,
    "failed": "#a8452f",
}
_SKIPPED = "#c9762b"


def queue(places: Sequence[Place], title: str, subtitle: str) -> go.Figure:
    """Return one bar whose parts are where the tickets are."""
    figure = go.Figure()
    for place in places:
        if place.tickets:
            figure.add_bar(
                x=[place.tickets],
                y=[""],
                orientation="h",
                name=place.label,
                marker={"color": _COLOURS[place.key]},
                text=[place.tickets],
                textposition="inside",
                insidetextanchor="middle",
                hovertemplate="%{x}<extra>" + place.label + "</extra>",
            )
    style.finish(figure, title, subtitle, height=150, legend=True)
    figure.update_layout(barmode="stack")
    figure.update_xaxes(visible=False)
    figure.update_yaxes(visible=False)
    return figure


#: From so many tickets on, Plotly's own ticks are whole numbers.
_FEW = 6


def raters(people: Sequence[RaterProgress], title: str, subtitle: str, rated: str, skipped: str) -> go.Figure:
    """Return a bar for each rater: tickets rated, and skipped ones beside."""
    figure = go.Figure()
    names = [style.label(person.name) for person in reversed(people)]
    for label, colour, counts in (
        (rated, _COLOURS["complete"], [person.rated for person in reversed(people)]),
        (skipped, _SKIPPED, [person.skipped for person in reversed(people)]),
    ):
        if any(counts):
            figure.add_bar(
                x=counts,
                y=names,
                orientation="h",
                name=label,
                marker={"color": colour},
                text=[count or "" for count in counts],
                textposition="inside",
                insidetextanchor="middle",
                hovertemplate="%{x}<extra>" + label + "</extra>",
            )
    style.finish(figure, title, subtitle, height=110 + style.ROW * max(len(people), 1), legend=True)
    figure.update_layout(barmode="stack")
    most = max((person.rated + person.skipped for person in people), default=0)
    # Tickets are whole: of one or two, Plotly would mark fractions and write them as 0 and 1.
    figure.update_xaxes(rangemode="tozero", tickformat="d", dtick=1 if most < _FEW else None)
    return figure
