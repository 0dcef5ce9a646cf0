"""Operations: which candidates are up, how fast they answer, how long the queue is."""

import streamlit as st

from console import operations
from console.i18n import _
from replybench.errors import ReplybenchError

#: How often the page looks again, in seconds.
_EVERY_S = 5.0


def page() -> None:
    """Show the state of operations, kept up to date."""
    st.caption(_("Figures of candidates are those of the last 24 hours."))
    _state()


@st.fragment(run_every=_EVERY_S)
def _state() -> None:
    try:
        now = operations.load()
    except ReplybenchError as error:
        st.error(error.message)
        return
    if now.status != "ok":
        st.warning(_("Not everything works. What is wrong stands below."))
    columns = st.columns(4)
    columns[0].metric(_("Answers under way"), f"{now.unfinished} / {now.most_unfinished}")
    columns[1].metric(_("Tickets"), now.tickets)
    columns[2].metric(_("Ratings"), now.ratings)
    columns[3].metric(_("Database"), f"{now.database_mib:.0f} MiB")
    if now.database != "ok":
        st.error(now.database)
    st.subheader(_("Models and servers"), anchor=False)
    st.dataframe(operations.engine_rows(now), hide_index=True, width="stretch")
    st.subheader(_("Candidates"), anchor=False)
    st.dataframe(operations.candidate_rows(now), hide_index=True, width="stretch")
