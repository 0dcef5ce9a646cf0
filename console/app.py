"""The console: the frame around its pages. Started by `replybench console`."""

import importlib
import importlib.util
from importlib.resources import files

import streamlit as st

from console import people, sign_in, state
from console.i18n import _


def pages() -> dict[str, str]:
    """Return module name → title of the pages that this installation has, in the order of the work."""
    titles = {
        "rate": _("Rate"),
        "results": _("Results"),
        "studies": _("Studies"),
        "training": _("Training"),
        "operations": _("Operations"),
        "guidelines": _("Guidelines"),
    }
    return {
        name: title
        for name, title in titles.items()
        if importlib.util.find_spec(f"console.app_pages.{name}") is not None and sign_in.may_see(name)
    }


def run() -> None:
    """Lay out one run of the console."""
    state.recall()
    st.set_page_config(page_title="Replybench", layout="wide", initial_sidebar_state="collapsed")
    sign_in.gate()
    entries = [
        st.Page(
            importlib.import_module(f"console.app_pages.{name}").page,
            title=title,
            url_path=name,
            default=name == "rate",
        )
        for name, title in pages().items()
    ]
    st.logo(files("console").joinpath("assets/logo.svg").read_text("utf-8"), size="large")
    chosen = st.navigation(entries, position="top")
    people.heading(chosen.title)
    chosen.run()
    state.keep()


run()
