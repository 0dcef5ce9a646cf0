"""Sentences that the components show, and errors in the reader's language."""

import re
from typing import Any

from console.i18n import _, current_language
from replybench.errors import ReplybenchError

#: Invisible; keeps an address from being made a link, which no escape does.
_WORD_JOINER = "\u2060"
_MARKDOWN = re.compile(r"([\\`*_{}\[\]()#+\-.!|~$<>:&])")


def literal(text: str) -> str:
    """Return `text` such that Streamlit's Markdown shows it as it is: no emphasis, link, image or formula."""
    escaped = _MARKDOWN.sub(r"\\\1", text)
    return escaped.replace("//", f"{_WORD_JOINER}//").replace("www", f"ww{_WORD_JOINER}w")


def explain(error: ReplybenchError) -> str:
    """Return what happened and what to do, in the language of this session, with the reference id to quote.

    English is the backend's own sentence. Another language has a sentence for each kind of error.
    """
    known = {
        "not_found": _("This is not there (any more), or it belongs to another rater."),
        "conflict": _("This cannot be done in the present state. Reload the page to see it."),
        "not_allowed": _("You are not allowed to do this."),
        "not_signed_in": _("The backend does not accept this console's key. Check API_KEY on both sides."),
        "busy": _("Too many tickets are being answered just now. Try again in a few seconds."),
        "unavailable": _("The backend does not answer. Nothing that you entered is lost; try again in a moment."),
        "invalid_input": _("The backend refused what was entered. Check it and try again."),
    }
    if current_language() == "en":
        sentence = error.message
    else:
        sentence = known.get(
            error.code, _("Something went wrong in the backend. Try again; nothing you entered is lost.")
        )
    return f"{sentence} {reference(error)}".strip()


def answer_failure(code: str, message: str) -> str:
    """Return why an answer failed: in English the backend's or the provider's own words."""
    if current_language() == "en":
        return message
    known = {
        "interrupted": _("The backend stopped while this answer was being written. Ask again."),
        "timeout": _("The model took too long. Ask again."),
        "empty": _("The model wrote nothing. Ask again."),
        "busy": _("Too many tickets are being answered just now. Try again in a few seconds."),
        "cancelled": _("This answer was cancelled. Ask again."),
    }
    return known.get(code) or f"{_('The model reports:')} {message}"


def reference(error: ReplybenchError) -> str:
    """Return the note that names the request, if the backend gave it an id."""
    return _("(Reference: {id})").format(id=error.request_id) if error.request_id else ""


def ticket_strings() -> dict[str, str]:
    """Return the sentences of the ticket form."""
    return {
        "examples": _("Try an example"),
        "own_ticket": _("My own ticket"),
        "subject": _("Subject"),
        "optional": _("(optional)"),
        "text": _("Ticket"),
        "text_placeholder": _("Paste what the customer wrote."),
        "text_missing": _("Paste the customer's ticket first."),
        "ask": _("Ask for answers"),
        "asking": _("Sending…"),
        "no_reply": _("The console does not reply. What you entered is kept; try again."),
        "queue": _("The queue"),
        "next": _("Next ticket"),
        "next_key": _("or press N"),
        "earlier": _("Your earlier tickets"),
        "none_earlier": _("None yet. Paste a ticket, or try an example, and rate the answers."),
    }


def rating_strings() -> dict[str, Any]:
    """Return the sentences of the rating form."""
    return {
        **_state_strings(),
        **_form_strings(),
        "key_list": [
            [["1", "…", "5"], _("score the marked metric and go on to the next one without a score")],
            [["↑", "↓"], _("previous or next metric")],
            [["←", "→"], _("lower or higher score")],
            [["Shift ←", "Shift →"], _("the same metric of the previous or next answer")],
            [["Backspace"], _("remove the score")],
            [["Ctrl Z"], _("take back the last score")],
            [["M"], _("write a comment; Esc goes back to the scores")],
            [["F"], _("flag the answer")],
            [["S"], _("skip the ticket")],
            [["Enter"], _("submit when everything is scored; Ctrl Enter also from a comment")],
            [["E", "N"], _("after submitting: change the rating, or next ticket of the queue")],
            [["?"], _("show these keys")],
        ],
    }


def _state_strings() -> dict[str, Any]:
    return {
        "states": {
            "waiting": _("waiting"),
            "writing": _("writing"),
            "done": _("done"),
            "failed": _("failed"),
            "cancelled": _("cancelled"),
        },
        "cut": {
            "prompt": _("The ticket was longer than this model reads; it saw a shortened one."),
            "output": _("This model was stopped at its length limit."),
        },
        "flags": {
            "harmful": _("harmful to the customer or the company"),
            "personal_data": _("contains personal data"),
        },
        "skip_reasons": {
            "unclear": _("The ticket cannot be understood"),
            "expertise": _("I do not know this subject well enough"),
            "language": _("I cannot judge answers in this language"),
            "no_request": _("It asks for nothing (spam, thanks, an automatic message)"),
        },
        "roles": {"customer": _("Customer"), "agent": _("Agent")},
        "waiting": _("The answers are on their way. You can score each one as soon as it is done."),
        "still_writing": _("An answer is still being written. Submit when all are done."),
        "no_answer": _("There is no answer."),
        "ask_again": _("Ask again"),
        "storing": _("Storing your ratings…"),
        "no_reply": _("The console does not reply. Your scores are kept; submit again."),
        "revealed": _("Stored. Now you see who wrote which answer."),
    }


def _form_strings() -> dict[str, str]:
    return {
        "ticket": _("Ticket"),
        "earlier": _("Earlier messages"),
        "answer": _("Answer {slot}"),
        "sources": _("Rests on: {titles}"),
        "weighted": _("Weighted score"),
        "more": _("Comment, corrected answer, flag"),
        "flagged": _("flagged"),
        "flag": _("Flag this answer"),
        "skip": _("Skip"),
        "skip_why": _("Why do you skip this ticket?"),
        "skipped": _("You skipped this ticket. Rate it all the same, or leave it skipped."),
        "cancel": _("Cancel"),
        "unskip": _("Take back the skip"),
        "comment": _("Comment"),
        "corrected": _("Your ideal answer"),
        "start_from_answer": _("Start from this answer"),
        "guide": _("Score each answer from 1 (worst) to 5 (best). Point at a score to read what it means."),
        "progress": _("{done} of {total} scored"),
        "scores_missing": _("{count} still to score. They are marked in turn."),
        "keys": _("Keys"),
        "close": _("Close"),
        "submit": _("Submit"),
        "change": _("Change my rating"),
        "next": _("Next ticket"),
        "new_ticket": _("New ticket"),
        "ask_ticket_again": _("Ask the ticket again"),
        "asking_again": _("The lineup in use answers the same ticket once more. These answers stay."),
        "askings": _("Other answers to this ticket"),
        "instructions": _("Instructions"),
    }
