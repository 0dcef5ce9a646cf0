"""Who is at this browser: asked once, shown in the corner, changed there."""

import streamlit as st

from console import sign_in, state
from console.i18n import LANGUAGES, _, current_language
from console.wording import literal

_NAME_KEY = "people_name"
_NEW_NAME_KEY = "people_new_name"
_LANGUAGE_KEY = "people_language"


def required_rater() -> str:
    """Return the rater's name; while there is none, ask for it and end the run."""
    name = state.rater()
    if name:
        return name
    st.subheader(_("Welcome to Replybench"))
    st.write(
        _(
            "Language models draft the first answer to a customer's ticket. You read the answers without knowing "
            "who wrote them and score each one; the scores tell which model to trust."
        )
    )
    with st.form("people_form", border=False):
        st.text_input(_("Your name"), key=_NAME_KEY, max_chars=100, autocomplete="name", width=420)
        st.caption(_("Your ratings are kept under this name. You give it once; this browser remembers it."))
        st.form_submit_button(_("Continue"), on_click=lambda: _take(_NAME_KEY))
    state.keep()
    return st.stop()


def heading(title: str) -> None:
    """Show the page's title, and at its right name and language, which can be changed there."""
    with st.container(horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"):
        st.title(title, anchor=False, width="content")
        _corner()


def _corner() -> None:
    name = state.rater()
    with (
        st.popover(f"{_shown(name)} · {LANGUAGES[current_language()]}" if name else LANGUAGES[current_language()]),
    ):
        st.segmented_control(
            _("Language"),
            list(LANGUAGES),
            key=_LANGUAGE_KEY,
            format_func=lambda language: LANGUAGES[language],
            default=current_language(),
            on_change=_switch_language,
        )
        if not sign_in.is_local():
            st.button(_("Sign out"), on_click=st.logout)
        elif name:
            st.text_input(_("Your name"), value=name, key=_NEW_NAME_KEY, max_chars=100)
            st.button(_("Change name"), on_click=lambda: _take(_NEW_NAME_KEY))
            st.caption(_("Local mode: nobody has to sign in."))


def _shown(name: str) -> str:
    return literal(name if len(name) <= 24 else f"{name[:23]}…")


def _take(key: str) -> None:
    name = st.session_state.get(key, "").strip()
    if name:
        state.set_rater(name)


def _switch_language() -> None:
    chosen = st.session_state.get(_LANGUAGE_KEY)
    if chosen:
        state.set_language(chosen)
