"""Rate: paste a ticket, see the answers come in side by side, score them, learn who wrote what."""

from datetime import datetime
from typing import NamedTuple
from uuid import UUID

import streamlit as st
from babel.dates import format_datetime, get_timezone
from pydantic import ValidationError

from console import rating, state
from console.components import rating_form, ticket_form
from console.follower import Followers
from console.i18n import _, current_language
from console.people import required_rater
from console.wording import explain, literal, ticket_strings
from replybench.contract import (
    MAX_TICKET_CHARS,
    ExampleTicket,
    MarksPublic,
    RubricPublic,
    SkipReason,
    SuggestionBrief,
    SuggestionPublic,
)
from replybench.errors import ReplybenchError, Unavailable

_PARAM = "suggestion"
_OPEN_KEY = "rate_suggestion"
_OUTCOME_KEY = "rate_outcome"
_FORM_KEY = "rate_ticket_form"
_MARKS_KEY = "rate_marks"
_SIGHT_KEY = "rate_sight"
_BOARD_KEY = "rate_board"
#: How often the columns are drawn anew while answers come (seconds): smooth to read, and cheap.
_TICK_S = 0.3
#: How often an absent backend is asked again (seconds).
_KNOCK_S = 2.0


class _Sight(NamedTuple):
    """What the page knows of the open suggestion, and what keeps it from knowing more."""

    suggestion: SuggestionPublic
    rubric: RubricPublic
    marks: MarksPublic
    trouble: ReplybenchError | None


@st.cache_resource
def _followers() -> Followers:
    return Followers()


@st.cache_data(ttl=300, show_spinner=False)
def _rubric(language: str) -> RubricPublic:
    return state.backend().rubric(language)


@st.cache_data(ttl=60, show_spinner=False)
def _examples() -> list[ExampleTicket]:
    return state.backend().example_tickets()


def page() -> None:
    """Show the ticket that is open, or the form for a new one."""
    rater = required_rater()
    try:
        suggestion_id = _opened()
        if suggestion_id is None:
            _new_ticket(rater)
        else:
            _open_ticket(rater, suggestion_id)
    except Unavailable as error:
        _wait_for_backend(error)
    except ReplybenchError as error:
        st.error(literal(explain(error)))
        st.button(_("Back to a new ticket"), on_click=_open, args=(None,))


def _opened() -> UUID | None:
    """Return which suggestion is open. The address bar says it, so that a reload or a link finds it again."""
    named = st.query_params.get(_PARAM) or st.session_state.get(_OPEN_KEY)
    if not named:
        return None
    try:
        suggestion_id = UUID(named)
    except ValueError:
        _open(None)
        return None
    st.session_state[_OPEN_KEY] = st.query_params[_PARAM] = str(suggestion_id)
    return suggestion_id


def _open(suggestion_id: UUID | None) -> None:
    for key in (_OUTCOME_KEY, _MARKS_KEY):
        st.session_state.pop(key, None)
    if suggestion_id is None:
        st.session_state.pop(_OPEN_KEY, None)
        st.query_params.pop(_PARAM, None)
    else:
        st.session_state[_OPEN_KEY] = st.query_params[_PARAM] = str(suggestion_id)


# ---------------------------------------------------------------------- a new ticket


def _new_ticket(rater: str) -> None:
    client = state.backend()
    earlier, skipped = client.suggestions(rater), set(client.skips(rater))
    outcome: rating.Outcome | None = st.session_state.get(_OUTCOME_KEY)
    st.write(_("Paste a ticket. The models answer side by side, without names; you score what you read."))
    ticket_form(
        {
            "draft_key": f"replybench:ticket:{rater}",
            "strings": ticket_strings(),
            "examples": [example.model_dump() for example in _examples()],
            "max_chars": MAX_TICKET_CHARS,
            "suggestions": [
                rating.brief(row, _progress(row, row.id in skipped), _when(row.created_at)) for row in earlier
            ],
            "outcome": outcome and {"nonce": outcome.nonce, "ok": outcome.ok, "message": outcome.message},
        },
        key=_FORM_KEY,
        on_ask=lambda: _ask(rater),
        on_open=_open_earlier,
    )


def _ask(rater: str) -> None:
    try:
        question = rating.Question.model_validate(st.session_state[_FORM_KEY]["ask"])
    except ValidationError:
        return
    outcome, suggestion_id = rating.ask(state.backend(), rater, question)
    if suggestion_id is not None:
        _open(suggestion_id)
    st.session_state[_OUTCOME_KEY] = outcome


def _open_earlier() -> None:
    try:
        _open(UUID(st.session_state[_FORM_KEY]["open"]["suggestion_id"]))
    except (KeyError, TypeError, ValueError):
        return


def _progress(row: SuggestionBrief, is_skipped: bool) -> str:
    if row.rated and row.rated >= row.done:
        return _("rated")
    if is_skipped:
        return _("skipped")
    if row.done < row.answers:
        return _("{done} of {answers} answers").format(done=row.done, answers=row.answers)
    return _("not rated yet")


def _when(moment: datetime) -> str:
    zone = get_timezone(st.context.timezone or "UTC")
    return format_datetime(moment, "d MMM, HH:mm", locale=current_language(), tzinfo=zone)


# ---------------------------------------------------------------------- an open ticket


def _open_ticket(rater: str, suggestion_id: UUID) -> None:
    pace = _pace(_look(rater, suggestion_id))
    st.fragment(_board, run_every=pace)(rater, suggestion_id, pace)


def _look(rater: str, suggestion_id: UUID) -> _Sight:
    """Return what is known of the open suggestion. While the backend is away, that is what was seen last."""
    try:
        suggestion, trouble = _followers().look(state.backend(), rater, suggestion_id)
        sight = _Sight(suggestion, _rubric(current_language()), _marks(rater, suggestion_id), trouble)
    except Unavailable as error:
        seen: _Sight | None = st.session_state.get(_SIGHT_KEY)
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


def _pace(sight: _Sight) -> float | None:
    """Return how often to look again (seconds): often while answers come, rarely while the backend is away."""
    if sight.suggestion.is_complete:
        return _KNOCK_S if sight.trouble else None
    return _TICK_S


def _board(rater: str, suggestion_id: UUID, pace: float | None) -> None:
    """Draw the form; while answers come, this alone runs again and again."""
    try:
        sight = _look(rater, suggestion_id)
    except ReplybenchError as error:
        st.error(literal(explain(error)))
        return
    outcome = st.session_state.get(_OUTCOME_KEY)
    rating_form(
        rating.board(sight.suggestion, sight.rubric, rater, marks=sight.marks, outcome=outcome, trouble=sight.trouble),
        key=_BOARD_KEY,
        submit=lambda: _submit(rater, suggestion_id),
        retry=lambda: _retry(rater, suggestion_id),
        skip=lambda: _skip(rater, suggestion_id),
        flag=lambda: _flag(rater),
        next=lambda: _open(None),
    )
    if st.session_state.get(_OPEN_KEY) is None or _pace(sight) != pace:
        st.rerun()


def _submit(rater: str, suggestion_id: UUID) -> None:
    try:
        submission = rating.Submission.model_validate(st.session_state[_BOARD_KEY]["submit"])
    except ValidationError:
        return
    st.session_state[_OUTCOME_KEY] = rating.store_ratings(state.backend(), rater, submission)
    _followers().forget(rater, suggestion_id)


def _skip(rater: str, suggestion_id: UUID) -> None:
    try:
        wanted = st.session_state[_BOARD_KEY]["skip"]["reason"]
        reason = SkipReason(wanted) if wanted else None
        marks = state.backend().skip(rater, suggestion_id, reason)
    except ReplybenchError as error:
        st.toast(literal(explain(error)))
        return
    st.session_state[_MARKS_KEY] = (suggestion_id, marks)
    if reason is not None:
        _open(None)
        st.toast(_("Skipped. You can open it again from your earlier tickets."))


def _flag(rater: str) -> None:
    suggestion_id = UUID(st.session_state[_OPEN_KEY])
    try:
        change = rating.FlagChange.model_validate(st.session_state[_BOARD_KEY]["flag"])
        marks = state.backend().flag(rater, change.answer_id, change.kind, is_set=change.is_set)
        st.session_state[_MARKS_KEY] = (suggestion_id, marks)
    except ReplybenchError as error:
        st.toast(literal(explain(error)))


def _retry(rater: str, suggestion_id: UUID) -> None:
    try:
        state.backend().retry(rater, UUID(st.session_state[_BOARD_KEY]["retry"]["answer_id"]))
    except ReplybenchError as error:
        st.toast(literal(explain(error)))
    _followers().forget(rater, suggestion_id)


# ---------------------------------------------------------------------- no backend


def _wait_for_backend(error: Unavailable) -> None:
    st.warning(literal(explain(error)))
    st.caption(_("This page comes back by itself as soon as the backend does. Your scores are kept in this browser."))
    st.fragment(_knock, run_every=_KNOCK_S)()


def _knock() -> None:
    try:
        state.backend().rubric(current_language())
    except ReplybenchError:
        return
    st.rerun()
