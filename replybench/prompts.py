"""The one source of prompts: the same functions lay a ticket out for training and for serving.

Two formats:

* ``study``: the plain text form of the study of 2024 (``### Subject: … ### Question: … ### Answer:``), for
  models that are fine-tuned on it;
* ``chat``: system and user messages, rendered by the model's own chat template or sent to a chat API, for
  general models.

In both, the part that never changes comes first, so that prefix caches work.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Literal

Role = Literal["customer", "agent"]
_NOT_TEXT = re.compile("[\x00\ud800-\udfff]")


class PromptFormat(StrEnum):
    """How a candidate wants its ticket."""

    STUDY = "study"
    CHAT = "chat"


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of a thread, already free of markup."""

    role: Role
    text: str


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of a training text; `is_target` says whether the loss is taken on it."""

    text: str
    is_target: bool


SYSTEM_PROMPT = (
    "You are a support agent. Answer the customer's question in a warm, plain and short way: "
    "greet, answer first, then give the steps, and offer help once at the end."
)

_LABEL = {"customer": "### Question:", "agent": "### Answer:"}
#: Closing line of a thread in the study's files; never part of a prompt or of a target.
OUTCOME_LINES = {"success": "### Solved", "failure": "### Unsolved"}
#: Where an answer in the study format ends: the label of whatever would come next.
STOP_MARKERS = (
    "\n### ",
    "\n###",
    "### Question:",
    "### Answer:",
    "### Subject:",
    "### Solved",
    "### Unsolved",
)
_MARKER = re.compile(r"^(\s*)#{3}(?=\s)", re.MULTILINE)


def neutral(text: str) -> str:
    """Return `text` with any line that starts like one of our labels defused.

    A customer who writes ``### Answer:`` must not be able to end the question.
    """
    return _MARKER.sub(r"\1# # #", text).strip()


def thread_segments(subject: str, turns: Sequence[Turn]) -> list[Segment]:
    """Return a thread in the study format, cut where the loss mask changes.

    The loss is on the agents' words alone. Each answer's target includes the newline after it, which is what
    a trained model writes when it is done (the tokenizer's end-of-text token follows the last one).
    """
    segments = [Segment(f"### Subject: {neutral(subject)}\n", False)] if subject.strip() else []
    for turn in turns:
        segments.append(Segment(_LABEL[turn.role], False))
        segments.append(Segment(f" {neutral(turn.text)}\n", turn.role == "agent"))
    return segments


def article_segments(title: str, category: str | None, body: str) -> list[Segment]:
    """Return a help article in the study format; the loss is on the whole text."""
    lines = [f"### Title: {neutral(title)}", f"### Category: {neutral(category or 'General')}"]
    return [Segment("\n".join([*lines, f"### Body: {neutral(body)}\n"]), True)]


def study_prompt(subject: str, turns: Sequence[Turn], *, sources: Sequence[str] = ()) -> str:
    """Return the text after which a model that was trained on `thread_segments` writes the agent's answer.

    Args:
        subject: may be empty.
        turns: the conversation so far; the last one is the customer's.
        sources: help-centre articles (plain text) that the answer should rest on.
    """
    grounding = "".join(f"### Body: {neutral(source)}\n" for source in sources)
    text = "".join(segment.text for segment in thread_segments(subject, turns))
    return f"{grounding}{text}{_LABEL['agent']}"


def chat_messages(
    subject: str, turns: Sequence[Turn], *, sources: Sequence[str] = (), system: str = SYSTEM_PROMPT
) -> list[dict[str, str]]:
    """Return the same ticket as chat messages (``role``/``content``), for general models."""
    content = system
    if sources:
        content += "\n\nHelp-centre articles to rest on:\n\n" + "\n\n".join(sources)
    messages = [{"role": "system", "content": content}]
    for index, turn in enumerate(turns):
        text = turn.text.strip()
        if index == 0 and subject.strip():
            text = f"Subject: {subject.strip()}\n\n{text}"
        messages.append({"role": "user" if turn.role == "customer" else "assistant", "content": text})
    return messages


def clean_answer(text: str, markers: Sequence[str] = STOP_MARKERS) -> tuple[str, bool]:
    """Return `text` up to the first stop marker, and whether there was one."""
    cut = min((at for at in (text.find(marker) for marker in markers) if at >= 0), default=-1)
    return (text[:cut].strip(), True) if cut >= 0 else (text.strip(), False)


def streamable(text: str, markers: Sequence[str] = STOP_MARKERS) -> str:
    """Return the part of an unfinished `text` that can be shown: no marker, nor the beginning of one.

    What it returns for a text is the beginning of what it returns for any longer text, so it can be streamed.
    """
    clean, stopped = clean_answer(text, markers)
    if stopped:
        return clean
    for size in range(max(map(len, markers), default=0), 0, -1):
        tail = text[-size:]
        if len(tail) == size and any(marker.startswith(tail) for marker in markers):
            return text[:-size].strip()
    return clean


def storable(text: str) -> str:
    """Return a model's `text` without what no database and no JSON can hold: NUL and halves of surrogate pairs.

    Models do write them: a token can be any byte.
    """
    return _NOT_TEXT.sub("", text)


def stop_markers(prompt: PromptFormat) -> tuple[str, ...]:
    """Return the markers at which an answer in this format ends; a chat model says itself when it is done."""
    return STOP_MARKERS if prompt is PromptFormat.STUDY else ()
