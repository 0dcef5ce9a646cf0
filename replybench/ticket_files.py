"""Files of tickets for a queue: CSV, or JSON lines; read whole and checked before anything is sent.

CSV: a header line with `text` and perhaps `subject`, `id`, `category`, `language`; commas, semicolons or tabs.
JSON lines: the same keys, or threads (`turns` with role and text: a prepared data set, the raw form), of which what
the customer wrote before the first reply is the ticket. Of a prepared data set, only what was held out from training
is taken. Other columns and keys are left aside.
"""

import csv
import io
import json
from collections.abc import Iterable, Iterator
from itertools import takewhile
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from replybench.errors import InvalidInput
from replybench.queue_contract import MAX_TICKETS_AT_ONCE, QueueTicket

MAX_FILE_BYTES = 20 * 2**20
MAX_TICKETS = 20_000
#: Redaction reads some thousands of characters a second, and a request should take a few seconds at most.
_MAX_REQUEST_CHARS = 20_000
_FIELDS = ("subject", "text", "id", "category", "language")
_TOLD = 5
#: How files begin that are packed, or are no text at all: zip (and XLSX), gzip, bzip2, xz, zstd, PDF, old Office.
_NOT_TEXT = (b"PK\x03\x04", b"\x1f\x8b", b"BZh", b"\xfd7zXZ", b"\x28\xb5\x2f\xfd", b"%PDF", b"\xd0\xcf\x11\xe0")


class _Bad(Exception):
    """What is wrong with a line; never its words."""


def read_path(path: Path) -> list[QueueTicket]:
    """Return the tickets of a file, or of a folder that `prepare` or `export` has written.

    Raises:
        InvalidInput: there is nothing to read, or a line is wrong (all of the first few are named).
    """
    if path.is_dir():
        found = [path / "threads.jsonl"] if (path / "threads.jsonl").is_file() else sorted(path.glob("tickets*.jsonl"))
        files = [file for file in found if not file.stem.endswith("-manifest")]
        if not files:
            raise InvalidInput(f"There is no threads.jsonl (of replybench prepare) and no tickets.jsonl in {path}.")
        return [ticket for file in files for ticket in read_path(file)]
    try:
        size = path.stat().st_size
        _check_size(path.name, size)
        return read(path.name, path.read_bytes())
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from error


def read(name: str, data: bytes) -> list[QueueTicket]:
    """Return the tickets of a file's content; `name` is for messages and tells CSV from JSON lines.

    Raises:
        InvalidInput: it is too large, packed, not UTF-8, holds no ticket, or a line is wrong.
    """
    _check_size(name, len(data))
    if data.startswith(_NOT_TEXT):
        raise InvalidInput(f"{name} is packed or no text. Unpack it, or save the table as CSV (UTF-8), and try again.")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{name} is not UTF-8 (byte {error.start}). Save it as CSV UTF-8 and try again.") from None
    is_json = name.lower().endswith((".jsonl", ".ndjson", ".json")) or text.lstrip().startswith("{")
    tickets, wrong = [], []
    for number, row in _json_rows(text) if is_json else _csv_rows(name, text):
        try:
            ticket = _ticket(row)
        except _Bad as bad:
            wrong.append(f"line {number}: {bad}")
            continue
        if ticket is not None:
            tickets.append(ticket)
    if wrong:
        more = f" And {len(wrong) - _TOLD} more." if len(wrong) > _TOLD else ""
        raise InvalidInput(f"{name}: nothing was stored. {' '.join(wrong[:_TOLD])}{more}")
    if not tickets:
        raise InvalidInput(f"{name} holds no ticket.")
    if len(tickets) > MAX_TICKETS:
        raise InvalidInput(f"{name} holds {len(tickets)} tickets; at most {MAX_TICKETS} are taken at once. Split it.")
    return tickets


def batches(tickets: Iterable[QueueTicket]) -> Iterator[list[QueueTicket]]:
    """Yield the tickets in groups that one request may carry."""
    batch: list[QueueTicket] = []
    size = 0
    for ticket in tickets:
        own = len(ticket.text) + sum(len(turn.text) for turn in ticket.earlier)
        if batch and (len(batch) == MAX_TICKETS_AT_ONCE or size + own > _MAX_REQUEST_CHARS):
            yield batch
            batch, size = [], 0
        batch.append(ticket)
        size += own
    if batch:
        yield batch


def _check_size(name: str, size: int) -> None:
    if size > MAX_FILE_BYTES:
        raise InvalidInput(f"{name} is larger than {MAX_FILE_BYTES >> 20} MiB. Split it.")


def _csv_rows(name: str, text: str) -> Iterator[tuple[int, Any]]:
    header, _, _ = text.partition("\n")
    delimiter = max(",;\t", key=header.count)
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    begun = 1
    try:
        columns = [column.strip().casefold() for column in next(reader, [])]
        if "text" not in columns:
            raise InvalidInput(f"{name}: the first line must name the columns, 'text' among them.")
        begun = reader.line_num + 1
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield begun, _named(columns, cells)
            begun = reader.line_num + 1
    except csv.Error as error:
        raise InvalidInput(f"{name}: nothing was stored. line {begun}: this is not CSV ({error}).") from error


def _named(columns: list[str], cells: list[str]) -> Any:
    if len(cells) > len(columns):
        return None
    return {column: cell.strip() or None for column, cell in zip(columns, cells, strict=False) if column in _FIELDS}


def _json_rows(text: str) -> Iterator[tuple[int, Any]]:
    for number, line in enumerate(text.split("\n"), start=1):
        if line.strip():
            try:
                yield number, json.loads(line)
            except (ValueError, RecursionError):
                yield number, None


def _ticket(row: Any) -> QueueTicket | None:
    """Return a row's ticket; None if it is not meant to be rated (trained on, spam)."""
    if not isinstance(row, dict):
        raise _Bad("it is not as the others: more cells than columns, or no JSON object.")
    if row.get("split", "heldout") != "heldout" or row.get("is_spam") is True:
        return None
    given = {field: row[field] for field in _FIELDS if row.get(field) not in (None, "")}
    if isinstance(given.get("id"), int):
        given["id"] = str(given["id"])
    if isinstance(given.get("language"), str):
        given["language"] = given["language"].casefold().partition("-")[0]
    if "turns" in row:
        given |= _opening(row["turns"])
    elif "earlier" in row:
        given["earlier"] = row["earlier"]
    try:
        return QueueTicket.model_validate(given)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(map(str, first["loc"])) or "the object"
        raise _Bad(f"'{where}' is wrong ({first['type'].replace('_', ' ')}).") from None


def _opening(turns: Any) -> dict[str, Any]:
    """Return what the customer wrote before the first reply."""
    if not isinstance(turns, list) or not all(isinstance(turn, dict) for turn in turns):
        raise _Bad("'turns' is not a list of objects.")
    own = list(takewhile(lambda turn: turn.get("role") == "customer", turns))
    if not own:
        raise _Bad("'turns' does not begin with the customer.")
    if any(not isinstance(turn.get("text"), str) and turn.get("html") for turn in own):
        raise _Bad("'turns' has HTML alone. Run replybench prepare first, and import its folder.")
    said = [{"role": "customer", "text": turn.get("text")} for turn in own]
    return {"text": said[-1]["text"], "earlier": said[:-1]}
