"""What the Results page reads: one view of one study, asked for again only as far as it has changed."""

from collections.abc import Mapping
from dataclasses import dataclass

import streamlit as st
from pydantic import ValidationError

from console import state
from console.charts.words import Words
from console.i18n import _, current_language, ngettext, number
from replybench.contract import StudyPublic
from replybench.errors import Unavailable
from replybench.results_contract import RatedAnswers, ResultsPublic

#: What of the address bar goes to the backend as it is.
PARAMS = ("study", "candidate", "rater", "source", "language", "from", "to", "weights")
_HELD_KEY = "results_held"


@dataclass(frozen=True, slots=True)
class Held:
    """The view on the screen, and the ETag to ask by whether it is still so."""

    params: Mapping[str, str]
    etag: str | None
    results: ResultsPublic


def params() -> dict[str, str]:
    """Return what the address bar asks for."""
    return {key: value for key in PARAMS if (value := st.query_params.get(key))}


def load() -> ResultsPublic:
    """Return the view that the address bar asks for; what is held is asked for by its ETag."""
    held: Held | None = st.session_state.get(_HELD_KEY)
    wanted = params()
    same = held is not None and held.params == wanted
    fetched = state.backend().fetch("/api/results", wanted, etag=held.etag if held and same else None)
    if fetched.document is None and held is not None:
        return held.results
    try:
        results = ResultsPublic.model_validate(fetched.document)
    except ValidationError as error:
        raise Unavailable("The backend speaks of results in another way than this console. Update both.") from error
    st.session_state[_HELD_KEY] = Held(wanted, fetched.etag, results)
    return results


def has_changed() -> bool:
    """Ask whether the view on the screen has changed. Raises what `load` raises."""
    before = st.session_state.get(_HELD_KEY)
    load()
    return st.session_state.get(_HELD_KEY) is not before


def held() -> ResultsPublic | None:
    """Return what was last on the screen, for the time the backend is away."""
    kept: Held | None = st.session_state.get(_HELD_KEY)
    return kept.results if kept is not None and kept.params == params() else None


def studies() -> list[StudyPublic]:
    """Return the collection periods, newest first."""
    return state.backend().studies()


def answers(behind: Mapping[str, str], offset: int, *, limit: int) -> RatedAnswers:
    """Return the tickets and answers behind a figure of the view on the screen."""
    wanted = {**params(), **behind, "offset": str(offset), "limit": str(limit)}
    wanted.pop("weights", None)
    return RatedAnswers.model_validate(state.backend().fetch("/api/results/answers", wanted).document)


def report(form: str) -> bytes:
    """Return the view on the screen as one file."""
    return state.backend().send("GET", "/api/results/report", params={**params(), "format": form}).content


def words() -> Words:
    """Return this session's language, with the rubric's names of the metrics."""
    rubric = _metric_names(current_language())
    return Words(gettext=_, ngettext=ngettext, number=number, metrics=rubric)


@st.cache_data(ttl=300, show_spinner=False)
def _metric_names(language: str) -> dict[str, str]:
    return {metric.key: metric.name for metric in state.backend().rubric(language).metrics}
