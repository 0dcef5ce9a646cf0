"""What the console remembers of a person: name and language, in the session and in the browser's cookies.

Cookies are read once, when the browser's session begins, and written by a small component (`remember`), because a
Streamlit script cannot set them. They hold nothing secret.
"""

from functools import cache
from urllib.parse import quote, unquote

import streamlit as st

from console.backend_client import BackendClient
from console.components import remember
from console.i18n import LANGUAGE_KEY, LANGUAGES, Language, current_language
from console.settings import console_settings

RATER_KEY = "app_rater"
_READ_KEY = "app_cookies_read"
_RATER_COOKIE = "replybench_rater"
_LANGUAGE_COOKIE = "replybench_language"


@cache
def backend() -> BackendClient:
    """Return this process's client; it is safe for all sessions at once."""
    return BackendClient(console_settings(), present=rater)


def rater() -> str | None:
    """Return the name of the person at this browser, if they have given it."""
    name: str | None = st.session_state.get(RATER_KEY)
    return name


def set_rater(name: str) -> None:
    """Remember who is at this browser; an empty name signs them out."""
    st.session_state[RATER_KEY] = " ".join(name.split())[:100] or None


def set_language(language: Language) -> None:
    """Show the console in `language` from the next rerun on."""
    st.session_state[LANGUAGE_KEY] = language


def recall() -> None:
    """Take name and language from the browser's cookies, once per session; call before anything is shown."""
    if st.session_state.get(_READ_KEY):
        return
    st.session_state[_READ_KEY] = True
    cookies = st.context.cookies
    if RATER_KEY not in st.session_state:
        set_rater(unquote(cookies.get(_RATER_COOKIE, "")))
    if LANGUAGE_KEY not in st.session_state:
        wanted = cookies.get(_LANGUAGE_COOKIE) or (st.context.locale or "")[:2]
        set_language(next((language for language in LANGUAGES if language == wanted), "en"))


def keep() -> None:
    """Write name and language into the browser's cookies; call once per run of the whole script."""
    remember({_RATER_COOKIE: quote(rater() or "", safe=""), _LANGUAGE_COOKIE: current_language()}, current_language())
