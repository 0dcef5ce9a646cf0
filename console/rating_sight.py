"""What the Rate page knows of the open ticket, kept in the session between reruns and while the backend is away."""

from typing import Any, NamedTuple
from uuid import UUID

import streamlit as st

from console import rating, state
from console.follower import Followers
from console.i18n import current_language, moment
from replybench.contract import MarksPublic, RubricPublic, StudyPublic, SuggestionPublic
from replybench.errors import ReplybenchError, Unavailable

_SIGHT_KEY = "rate_sight"
_MARKS_KEY = "rate_marks"
_ASKINGS_KEY = "rate_askings"
_LEFT_KEY = "rate_left"


class Sight(NamedTuple):
    """What the page knows of the open suggestion, and what keeps it from knowing more."""

    suggestion: SuggestionPublic
    rubric: RubricPublic
    marks: MarksPublic
    study: StudyPublic | None
    trouble: ReplybenchError | None


def forget() -> None:
    """Forget what was asked for once for the ticket that was open: another one will be."""
    for key in (_MARKS_KEY, _ASKINGS_KEY, _LEFT_KEY):
        st.session_state.pop(key, None)


def keep_marks(suggestion_id: UUID, marks: MarksPublic) -> None:
    """Remember the rater's marks as they now are."""
    st.session_state[_MARKS_KEY] = (suggestion_id, marks)


@st.cache_resource
def followers() -> Followers:
    """Return the followers of this process."""
    return Followers()


@st.cache_data(ttl=300, show_spinner=False)
def _rubric(language: str) -> RubricPublic:
    return state.backend().rubric(language)


@st.cache_data(ttl=30, show_spinner=False)
def _studies() -> dict[str, StudyPublic]:
    return {study.name: study for study in state.backend().studies()}


def _study(name: str) -> StudyPublic | None:
    """Return a study; asked for anew where what is kept is older than it."""
    if name not in _studies():
        _studies.clear()
    return _studies().get(name)


def look(rater: str, suggestion_id: UUID) -> Sight:
    """Return what is known of the open suggestion. While the backend is away, that is what was seen last."""
    try:
        suggestion, trouble = followers().look(state.backend(), rater, suggestion_id)
        study = _study(suggestion.study)
        sight = Sight(suggestion, _rubric(current_language()), _marks(rater, suggestion_id), study, trouble)
    except Unavailable as error:
        seen: Sight | None = st.session_state.get(_SIGHT_KEY)
        if seen is None or seen.suggestion.id != suggestion_id:
            raise
        return seen._replace(trouble=error)
    st.session_state[_SIGHT_KEY] = sight
    return sight


def _marks(rater: str, suggestion_id: UUID) -> MarksPublic:
    """Return the rater's own skip and flags, asked for once for each opening."""
    held: tuple[UUID, MarksPublic] | None = st.session_state.get(_MARKS_KEY)
    if held is None or held[0] != suggestion_id:
        held = (suggestion_id, state.backend().marks(rater, suggestion_id))
        st.session_state[_MARKS_KEY] = held
    return held[1]


def askings(rater: str, suggestion_id: UUID) -> list[dict[str, Any]]:
    """Return the ticket's other askings, asked for once for each opening; none while the backend is away."""
    held: tuple[UUID, list[dict[str, Any]]] | None = st.session_state.get(_ASKINGS_KEY)
    if held is None or held[0] != suggestion_id:
        try:
            rows = state.backend().askings(rater, suggestion_id)
        except ReplybenchError:
            return []
        others = [row for row in rows if row.suggestion_id != suggestion_id]
        held = (suggestion_id, [rating.asking(row, moment(row.created_at)) for row in others])
        st.session_state[_ASKINGS_KEY] = held
    return held[1]


def left(rater: str, suggestion: SuggestionPublic) -> int | None:
    """Return how many tickets wait for the rater, once this one is rated; None before, or if it cannot be told."""
    if not suggestion.is_revealed:
        return None
    held: tuple[UUID, int] | None = st.session_state.get(_LEFT_KEY)
    if held is None or held[0] != suggestion.id:
        try:
            held = (suggestion.id, state.backend().queue(rater).left)
        except ReplybenchError:
            return None
        st.session_state[_LEFT_KEY] = held
    return held[1]
