"""The parts of the console that Streamlit's own widgets do not do well: small, without a build step.

A component is a folder with a style sheet and a script; `common.*` comes before both. Texts reach the page as text
nodes alone, never as markup.
"""

from collections.abc import Callable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

import streamlit as st

Callback = Callable[[], None]


def _source(name: str) -> str:
    return (files("console.components") / name).read_text("utf-8")


@cache
def _component(name: str, *parts: str, styled: bool = True) -> Callable[..., Any]:
    """Register a component once per process and return its mounting function; `parts` are further scripts of it."""
    css = f"{_source('common.css')}\n{_source(f'{name}/{name}.css')}" if styled else None
    js = "\n".join(_source(script) for script in ("common.js", *(f"{name}/{part}.js" for part in (*parts, name))))
    return st.components.v2.component(f"replybench_{name}", css=css, js=js)


def rating_form(data: Mapping[str, Any], *, key: str, **events: Callback) -> None:
    """Show a ticket, its answers and the scores; what the rater does arrives in `st.session_state[key]`.

    `events` has a callback for each: ``submit`` {nonce, ratings: [{answer_id, scores, comment, corrected_text,
    seconds}]}, ``retry`` {answer_id}, ``skip`` {reason: null takes it back}, ``flag`` {answer_id, kind, is_set},
    ``again`` (ask the ticket again), ``open`` {suggestion_id}, ``next`` (ticket of the queue), ``leave``.
    """
    mount = _component("rating_form", "answer_column", "dialogs", "ticket_panel", "bar", "keyboard")
    mount(key=key, data=data, **{f"on_{name}_change": callback for name, callback in events.items()})


def ticket_form(data: Mapping[str, Any], *, key: str, **events: Callback) -> None:
    """Show the form for a new ticket, and the earlier ones; what happens arrives in `st.session_state[key]`.

    Its events: ``ask`` {nonce, subject, text}, ``open`` {suggestion_id} and ``next`` (ticket of the queue).
    """
    mount = _component("ticket_form")
    mount(key=key, data=data, **{f"on_{name}_change": callback for name, callback in events.items()})


def remember(cookies: Mapping[str, str], language: str) -> None:
    """Write cookies into the browser (an empty value removes one) and tell it the page's language."""
    data = {"cookies": dict(cookies), "language": language}
    _component("remember", styled=False)(key="app_remember", data=data)
