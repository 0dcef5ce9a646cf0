"""Rate: paste a ticket, see the answers come in side by side, score them, learn who wrote what."""

from uuid import UUID

import streamlit as st
from pydantic import ValidationError

from console import rating, state
from console import rating_sight as sight_of
from console.components import rating_form, ticket_form
from console.i18n import _, current_language, moment
from console.people import required_rater
from console.wording import explain, literal, ticket_strings
from replybench.contract import (
    MAX_TICKET_CHARS,
    ExampleTicket,
    SkipReason,
    SuggestionBrief,
)
from replybench.errors import ReplybenchError, Unavailable

_PARAM = "suggestion"
_OPEN_KEY = "rate_suggestion"
_OUTCOME_KEY = "rate_outcome"
_FORM_KEY = "rate_ticket_form"
_BOARD_KEY = "rate_board"
#: How often the columns are drawn anew while answers come (seconds): smooth to read, and cheap.
_TICK_S = 0.3
#: How often an absent backend is asked again (seconds).
_KNOCK_S = 2.0


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
    st.session_state.pop(_OUTCOME_KEY, None)
    sight_of.forget()
    if suggestion_id is None:
        st.session_state.pop(_OPEN_KEY, None)
        st.query_params.pop(_PARAM, None)
    else:
        st.session_state[_OPEN_KEY] = st.query_params[_PARAM] = str(suggestion_id)


# ---------------------------------------------------------------------- a new ticket


def _new_ticket(rater: str) -> None:
    client = state.backend()
    earlier, skipped, queue = client.suggestions(rater), set(client.skips(rater)), client.queue(rater)
    outcome: rating.Outcome | None = st.session_state.get(_OUTCOME_KEY)
    st.write(_("Paste a ticket. The models answer side by side, without names; you score what you read."))
    ticket_form(
        {
            "draft_key": f"replybench:ticket:{rater}",
            "strings": ticket_strings(),
            "examples": [example.model_dump() for example in _examples()],
            "max_chars": MAX_TICKET_CHARS,
            "suggestions": [
                rating.brief(row, _progress(row, row.id in skipped), moment(row.created_at)) for row in earlier
            ],
            "queue": rating.queue_words(queue.left) if queue.left else "",
            "outcome": outcome and {"nonce": outcome.nonce, "ok": outcome.ok, "message": outcome.message},
        },
        key=_FORM_KEY,
        ask=lambda: _ask(rater),
        open=_open_earlier,
        next=lambda: _next(rater),
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


def _next(rater: str) -> None:
    """Open the queue's next ticket; where there is none, go to the start and say so."""
    suggestion_id, why_not = rating.next_ticket(state.backend(), rater)
    _open(suggestion_id)
    if why_not:
        st.toast(literal(why_not))


def _open_earlier(key: str = _FORM_KEY) -> None:
    try:
        _open(UUID(st.session_state[key]["open"]["suggestion_id"]))
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


# ---------------------------------------------------------------------- an open ticket


def _open_ticket(rater: str, suggestion_id: UUID) -> None:
    pace = _pace(sight_of.look(rater, suggestion_id))
    st.fragment(_board, run_every=pace)(rater, suggestion_id, pace)


def _pace(sight: sight_of.Sight) -> float | None:
    """Return how often to look again (seconds): often while answers come, rarely while the backend is away."""
    if sight.suggestion.is_complete:
        return _KNOCK_S if sight.trouble else None
    return _TICK_S


def _board(rater: str, suggestion_id: UUID, pace: float | None) -> None:
    """Draw the form; while answers come, this alone runs again and again."""
    try:
        sight = sight_of.look(rater, suggestion_id)
    except ReplybenchError as error:
        st.error(literal(explain(error)))
        return
    outcome = st.session_state.get(_OUTCOME_KEY)
    rating_form(
        rating.board(
            sight.suggestion,
            sight.rubric,
            rater,
            study=sight.study,
            marks=sight.marks,
            askings=sight_of.askings(rater, suggestion_id),
            left=sight_of.left(rater, sight.suggestion),
            outcome=outcome,
            trouble=sight.trouble,
        ),
        key=_BOARD_KEY,
        submit=lambda: _submit(rater, suggestion_id),
        retry=lambda: _retry(rater, suggestion_id),
        skip=lambda: _skip(rater, suggestion_id),
        flag=lambda: _flag(rater),
        again=lambda: _again(rater, suggestion_id),
        open=lambda: _open_earlier(_BOARD_KEY),
        next=lambda: _next(rater),
        leave=lambda: _open(None),
    )
    if st.session_state.get(_OPEN_KEY) != str(suggestion_id) or _pace(sight) != pace:
        st.rerun()


def _submit(rater: str, suggestion_id: UUID) -> None:
    try:
        submission = rating.Submission.model_validate(st.session_state[_BOARD_KEY]["submit"])
    except ValidationError:
        return
    st.session_state[_OUTCOME_KEY] = rating.store_ratings(state.backend(), rater, submission)
    sight_of.followers().forget(rater, suggestion_id)


def _skip(rater: str, suggestion_id: UUID) -> None:
    try:
        wanted = st.session_state[_BOARD_KEY]["skip"]["reason"]
        reason = SkipReason(wanted) if wanted else None
        marks = state.backend().skip(rater, suggestion_id, reason)
    except ReplybenchError as error:
        st.toast(literal(explain(error)))
        return
    sight_of.keep_marks(suggestion_id, marks)
    if reason is not None:
        _open(rating.next_ticket(state.backend(), rater)[0])
        st.toast(_("Skipped. You can open it again from your earlier tickets."))


def _flag(rater: str) -> None:
    suggestion_id = UUID(st.session_state[_OPEN_KEY])
    try:
        change = rating.FlagChange.model_validate(st.session_state[_BOARD_KEY]["flag"])
        marks = state.backend().flag(rater, change.answer_id, change.kind, is_set=change.is_set)
        sight_of.keep_marks(suggestion_id, marks)
    except ReplybenchError as error:
        st.toast(literal(explain(error)))


def _again(rater: str, suggestion_id: UUID) -> None:
    try:
        _open(state.backend().ask_again(rater, suggestion_id).id)
    except ReplybenchError as error:
        st.toast(literal(explain(error)))


def _retry(rater: str, suggestion_id: UUID) -> None:
    try:
        state.backend().retry(rater, UUID(st.session_state[_BOARD_KEY]["retry"]["answer_id"]))
    except ReplybenchError as error:
        st.toast(literal(explain(error)))
    sight_of.followers().forget(rater, suggestion_id)


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
