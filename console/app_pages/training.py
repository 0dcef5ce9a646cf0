"""Training: runs and their curves over one another, as they go."""

import streamlit as st

from console import training as source
from console.charts import training as charts
from console.i18n import _, number
from console.training import Curve
from console.wording import explain, literal
from replybench.errors import ReplybenchError
from replybench.training_contract import TrainingRunPublic

#: How often a running run is asked for new steps (seconds).
_TICK_S = 3
_CHART = {"displaylogo": False}


def page() -> None:
    """Show the runs, and the curves of those that are chosen."""
    try:
        runs = source.runs()
    except ReplybenchError as error:
        st.error(literal(explain(error)))
        return
    if not runs:
        st.info(_("No run yet. Start one with replybench train and a recipe; its curves appear here as it goes."))
        return
    names = [run.name for run in runs]
    chosen = st.multiselect(_("Runs"), names, default=names[:2], key="training_runs", max_selections=8)
    _curves(chosen)


@st.fragment(run_every=_TICK_S)
def _curves(chosen: list[str]) -> None:
    try:
        curves = source.curves(chosen)
    except ReplybenchError as error:
        st.caption(literal(explain(error)))
        return
    if not curves:
        return
    st.dataframe([_row(curve) for curve in curves], hide_index=True, width="stretch")
    words = {
        "loss": _("training"),
        "eval_loss": _("held out"),
        "step": _("Step"),
        "study": _("Study of 2024, settled"),
    }
    subtitle = _("Dotted: where the study of 2024 says that its own runs settled, on its own data.")
    _draw(charts.losses(curves, _("Loss"), subtitle, words), "loss")
    pieces = [
        ("learning_rate", _("Learning rate")),
        ("tokens_per_second", _("Tokens per second")),
        ("memory_mib", _("Memory, MiB")),
    ]
    for column, (key, title) in zip(st.columns(3, gap="large"), pieces, strict=True):
        with column:
            _draw(charts.measure(curves, key, title, _("Step")), key)
    for curve in curves:
        if curve.run.error:
            st.error(literal(f"{curve.run.name}: {curve.run.error}"))


def _draw(figure: object, key: str) -> None:
    st.plotly_chart(figure, key=f"training_chart_{key}", config=_CHART)


def _row(curve: Curve) -> dict[str, str]:
    run = curve.run
    total = f" / {run.total_steps}" if run.total_steps else ""
    return {
        _("Run"): run.name,
        _("Base"): run.base,
        _("Method"): f"{run.kind} {run.method}",
        _("State"): _state(run),
        _("Step"): f"{run.step}{total}",
        _("Loss"): _last(curve, "loss"),
        _("Held-out loss"): _last(curve, "eval_loss"),
        _("Started (UTC)"): f"{run.started_at:%Y-%m-%d %H:%M}",
    }


def _state(run: TrainingRunPublic) -> str:
    return {
        "running": _("running"),
        "finished": _("finished"),
        "stopped": _("stopped"),
        "failed": _("failed"),
        "silent": _("silent for 15 minutes"),
    }[run.status]


def _last(curve: Curve, name: str) -> str:
    values = curve.line(name)[1]
    return number(values[-1], 3) if values else ""
