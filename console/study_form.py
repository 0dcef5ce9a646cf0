"""The form for a new study, which the Studies page shows in a dialog."""

from collections.abc import Callable

import streamlit as st

from console import state
from console import studies as source
from console.i18n import _, current_language
from console.wording import explain, literal
from replybench.contract import MetricPublic, StudyPublic
from replybench.errors import ReplybenchError
from replybench.queue_contract import MAX_INSTRUCTIONS, MAX_OVERLAP, StudyCreate


@st.cache_data(ttl=300, show_spinner=False)
def metrics(language: str) -> list[MetricPublic]:
    """Return the rubric's metrics."""
    return state.backend().rubric(language).metrics


def form(on_made: Callable[[StudyPublic], None]) -> None:
    """Ask for what a study needs, make it, and tell `on_made`."""
    try:
        asked, lineups, candidates = metrics(current_language()), source.lineups(), source.lineup().candidates
    except ReplybenchError as error:
        st.error(literal(explain(error)))
        return
    names = {candidate.key: literal(candidate.name) for candidate in candidates}
    with st.form("studies_new", border=False):
        title = st.text_input(_("Title"), max_chars=200, placeholder=_("What is to be found out"))
        name = st.text_input(
            _("Short name"), max_chars=60, help=_("For commands and addresses; made of the title if empty.")
        )
        lineup = st.selectbox(_("Lineup"), lineups)
        chosen = st.multiselect(
            _("Candidates"),
            [candidate.key for candidate in candidates],
            format_func=lambda key: names[key],
            placeholder=_("All of the lineup"),
            help=_("Only for the lineup in use."),
        )
        overlap = st.number_input(_("Raters per ticket"), 1, MAX_OVERLAP, 2)
        st.markdown(f"**{_('Weights in percent, together 100')}**")
        columns = st.columns(len(asked))
        weights = {
            metric.key: column.number_input(metric.name, 0, 100, round(100 * metric.weight))
            for column, metric in zip(columns, asked, strict=True)
        }
        instructions = st.text_area(_("Instructions"), max_chars=MAX_INSTRUCTIONS, help=_("Shown above every ticket."))
        st.caption(_("Lineup, candidates and weights stay as they are made here, so that the figures mean one thing."))
        sent = st.form_submit_button(_("Make the study"))
    if not sent:
        return
    short = source.slug(name or title)
    if not title.strip() or not short:
        st.error(_("Give the study a title, and a short name in plain letters."))
    elif sum(weights.values()) != 100:
        st.error(_("The weights are {sum} together, and must be 100.").format(sum=sum(weights.values())))
    else:
        wanted = StudyCreate(
            name=short,
            title=title.strip(),
            instructions=instructions,
            lineup=lineup,
            candidates=chosen if chosen and lineup == lineups[0] else None,
            weights={key: share / 100 for key, share in weights.items()},
            overlap=overlap,
        )
        _create(wanted, on_made)


def _create(wanted: StudyCreate, on_made: Callable[[StudyPublic], None]) -> None:
    try:
        made = source.create(wanted)
    except ReplybenchError as error:
        st.error(literal(explain(error)))
        return
    on_made(made)
    st.rerun()
