"""Ask the running stack over HTTP and show the answers as they are written: a small client of the API."""

import json
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, TextIO
from urllib.parse import quote

import httpx
from pydantic import ValidationError
from rich.console import Console, Group
from rich.live import Live
from rich.panel import Panel
from rich.text import Text

from replybench.contract import AnswerChanged, AnswerDelta, AnswerPublic, AnswerStatus, ErrorPublic, SuggestionPublic
from replybench.errors import InvalidInput, ReplybenchError, Unavailable

_CONNECT_S = 5.0
#: The backend sends a sign of life more often than this.
_SILENCE_S = 60.0


@dataclass
class Column:
    """What is known of one answer."""

    slot: str
    text: str = ""
    end: AnswerPublic | None = None


@dataclass
class Columns:
    """All answers of a suggestion by id, in the order in which they are shown."""

    by_id: dict[str, Column] = field(default_factory=dict)

    def take(self, event: str, data: dict[str, Any]) -> Column | None:
        """Apply one event; return the column that it changed."""
        if event == "answer.delta":
            delta = AnswerDelta.model_validate(data)
            column = self.by_id.get(str(delta.answer_id))
            if column is not None:
                column.text = column.text[: delta.offset] + delta.text
            return column
        if event in {"answer.done", "answer.failed"}:
            answer = AnswerChanged.model_validate(data).answer
            column = self.by_id.get(str(answer.id))
            if column is not None:
                column.end, column.text = answer, answer.text
            return column
        return None


class Terminal:
    """Shows columns: live on a terminal; plain, each answer once it is complete, when piped."""

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=True)

    def show(self, columns: Columns, events: Iterator[tuple[str, dict[str, Any]]]) -> None:
        """Show the columns while the events come."""
        if not self._console.is_terminal:
            for event, data in events:
                column = columns.take(event, data)
                if column is not None and column.end is not None:
                    self._console.print(f"{column.slot}\n{_told(column)}\n", markup=False)
            return
        with Live(console=self._console, refresh_per_second=12, vertical_overflow="visible") as live:
            for event, data in events:
                columns.take(event, data)
                live.update(Group(*(_panel(column) for column in columns.by_id.values())))


def _told(column: Column) -> str:
    if column.end is not None and column.end.status is not AnswerStatus.DONE:
        reason = column.end.error.message if column.end.error else "It did not answer."
        return f"[{column.end.status.value}] {reason}"
    return column.text


def _panel(column: Column) -> Panel:
    is_done = column.end is not None
    state = column.end.status.value if column.end else ("writing" if column.text else "waiting")
    return Panel(Text(_told(column)), title=f"{column.slot} · {state}", border_style="green" if is_done else "dim")


def ask(text: str, *, subject: str, url: str | None, api_key: str | None, name: str, screen: Terminal) -> None:
    """Ask, and show the answers until all have ended.

    Raises:
        Unavailable: nothing runs at the address, or all answers failed.
        InvalidInput: no key is known for the address.
    """
    base_url, key = _place(url, api_key)
    headers = {"Authorization": f"Bearer {key}", "X-Rater": quote(name)}
    timeout = httpx.Timeout(_CONNECT_S, read=_SILENCE_S)
    try:
        with httpx.Client(base_url=base_url, headers=headers, timeout=timeout) as client:
            suggestion = _asked(client, subject, text)
            columns = Columns({str(answer.id): Column(answer.slot) for answer in suggestion.answers})
            screen.show(columns, _events(client, suggestion))
    except httpx.HTTPError as error:
        raise Unavailable(
            f"Nothing answers at {base_url}. Start the stack with: make demo (or name another address with --url)."
        ) from error
    if all(column.end is None or column.end.status is not AnswerStatus.DONE for column in columns.by_id.values()):
        raise Unavailable("No candidate answered.")


def _place(url: str | None, api_key: str | None) -> tuple[str, str]:
    """Return address and key: those given, else those of the stack that runs from this folder."""
    if url is None or api_key is None:
        from replybench.stack import running_stack  # needs a package of the demo that not every client has

        stack = running_stack()
        if stack is None and url is None:
            raise Unavailable("No stack runs from this folder. Start it with: make demo (or name one with --url).")
        if stack is not None:
            url, api_key = url or stack.backend_url, api_key or stack.api_key
    if not url or not api_key:
        raise InvalidInput("Give the backend's key with --api-key, or set API_KEY.")
    return url, api_key


def _asked(client: httpx.Client, subject: str, text: str) -> SuggestionPublic:
    response = client.post("/api/suggestions", json={"subject": subject, "text": text, "source": "cli"})
    _check(response)
    return SuggestionPublic.model_validate_json(response.content)


def _events(client: httpx.Client, suggestion: SuggestionPublic) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield (event, data) until the last one."""
    with client.stream("GET", f"/api/suggestions/{suggestion.id}/events") as response:
        if response.is_error:
            response.read()
            _check(response)
        event = ""
        for line in response.iter_lines():
            if line.startswith("event:"):
                event = line.removeprefix("event:").strip()
            elif line.startswith("data:"):
                if event == "done":
                    return
                yield event, json.loads(line.removeprefix("data:"))
    raise httpx.RemoteProtocolError("the stream ended before its last event")


def _check(response: httpx.Response) -> None:
    if not response.is_error:
        return
    try:
        message = ErrorPublic.model_validate_json(response.content).message
    except ValidationError:
        message = f"The backend answered {response.status_code}."
    raise _Refused(message)


class _Refused(ReplybenchError):
    """The backend's own words."""
