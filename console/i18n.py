"""The console's languages: gettext catalogues, compiled when they are loaded.

A sentence in a page is written in English inside `_("…")`. `locales/<language>/LC_MESSAGES/console.po` has its
translation; a test fails on one that is missing.
"""

import gettext as gettext_module
from datetime import datetime
from functools import cache
from importlib.resources import files
from io import BytesIO
from typing import Literal, get_args

import streamlit as st
from babel.dates import format_datetime, get_timezone
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po
from babel.numbers import format_decimal

Language = Literal["en", "uk"]

LANGUAGES: dict[Language, str] = {"en": "English", "uk": "Українська"}
#: Where the chosen language is kept for the session; the browser keeps it in a cookie (see console.state).
LANGUAGE_KEY = "app_language"


@cache
def catalogue(language: Language) -> gettext_module.NullTranslations:
    """Return the compiled catalogue of `language`; English is what the code says."""
    if language == "en":
        return gettext_module.NullTranslations()
    compiled = BytesIO()
    source = files("console") / "locales" / language / "LC_MESSAGES" / "console.po"
    with source.open("rb") as file:
        write_mo(compiled, read_po(file, locale=language))
    compiled.seek(0)
    return gettext_module.GNUTranslations(compiled)


def current_language() -> Language:
    """Return the language of this browser session."""
    chosen: Language = st.session_state.get(LANGUAGE_KEY, "en")
    return chosen if chosen in get_args(Language) else "en"


def _(message: str) -> str:
    """Return `message` in the language of this browser session."""
    return catalogue(current_language()).gettext(message)


def ngettext(one: str, many: str, count: int) -> str:
    """Return the form of a counted sentence that fits `count`; both carry ``{count}``."""
    return catalogue(current_language()).ngettext(one, many, count).format(count=count)


def number(value: float, digits: int = 2) -> str:
    """Return `value` with `digits` decimals in the writing of this session's language."""
    return format_decimal(value, format=f"0.{'0' * digits}" if digits else "0", locale=current_language())


def moment(at: datetime) -> str:
    """Return a time of day and month in this session's language and the browser's time zone."""
    zone = get_timezone(st.context.timezone or "UTC")
    return format_datetime(at, "d MMM, HH:mm", locale=current_language(), tzinfo=zone)
