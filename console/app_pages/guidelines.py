"""Guidelines: what the metrics mean and how they weigh, from the rubric that the backend serves."""

import streamlit as st

from console import state
from console.i18n import _, current_language
from console.wording import explain, literal
from replybench.contract import MetricPublic
from replybench.errors import ReplybenchError


def page() -> None:
    """Show the rubric."""
    try:
        rubric = state.backend().rubric(current_language())
        study = next((study for study in state.backend().studies() if study.is_current), None)
    except ReplybenchError as error:
        st.error(literal(explain(error)))
        return
    if study is not None and study.instructions:
        st.subheader(literal(study.title), anchor=False)
        st.text(study.instructions)
    st.write(
        _(
            "Read the ticket first, then each answer as the customer would. Score every answer by itself on each "
            "metric; do not compare. Use the whole scale."
        )
    )
    st.write(
        _("Scores from {positive} up count as positive, lower ones as negative.").format(positive=rubric.positive_from)
    )
    for at in range(0, len(rubric.metrics), 2):
        for column, metric in zip(st.columns(2, gap="large"), rubric.metrics[at : at + 2], strict=False):
            with column:
                _metric(metric, rubric.lowest, study.weights.get(metric.key) if study else None)


def _metric(metric: MetricPublic, lowest: int, weight: float | None) -> None:
    st.subheader(literal(metric.description), anchor=False)
    st.caption(_("Weight: {share}%").format(share=round((metric.weight if weight is None else weight) * 100)))
    rows = {str(lowest + at): literal(text) for at, text in enumerate(metric.scale)}
    st.table([{_("Score"): score, _("What it means"): text} for score, text in reversed(rows.items())])
