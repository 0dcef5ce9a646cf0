"""The raw form: what an export writes and `prepare` reads; also how a team without Zoho Desk brings its data.

A folder with `articles.jsonl` and `tickets.jsonl` (or parts `tickets-*.jsonl`, read in the order of their names), one
JSON object per line. Unknown fields are ignored, since other helpdesks have many. `docs/DATA.md` describes the fields.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError, field_validator

from replybench.errors import ConfigError, InvalidInput
from training.helpdesk.mapping import Mapping

Role = Literal["customer", "agent"]


class _Raw(BaseModel):
    """Ids may be numbers; what is unknown is ignored."""

    model_config = ConfigDict(extra="ignore", coerce_numbers_to_str=True, frozen=True)


class RawContact(_Raw):
    """The customer as the helpdesk knows them."""

    name: str | None = None
    email: str | None = None
    phone: str | None = None
    mobile: str | None = None


class RawTurn(_Raw):
    """One message: `html` or `text`; `author` is a display name, a login or an address."""

    id: str
    role: Role
    author: str | None = None
    created_at: str | None = None
    html: str | None = None
    text: str | None = None
    is_spam: bool = False


class RawTicket(_Raw):
    """One ticket with its turns, oldest first. `outcome` is the helpdesk's mark, `rating` the customer's."""

    id: str
    subject: str = ""
    created_at: str | None = None
    status: str | None = None
    outcome: Literal["success", "failure"] | None = None
    rating: Literal["good", "okay", "bad"] | None = None
    contact: RawContact | None = None
    category: str | None = None
    is_spam: bool = False
    turns: tuple[RawTurn, ...] = ()

    @field_validator("subject", mode="before")
    @classmethod
    def _no_subject(cls, value: Any) -> Any:
        return "" if value is None else value


class RawArticle(_Raw):
    """One help article; `permission` says who may read it (ALL, REGISTEREDUSERS, AGENTS)."""

    id: str
    title: str = Field(min_length=1)
    category: str | None = None
    html: str | None = None
    text: str | None = None
    url: str | None = None
    permission: str = "ALL"
    updated_at: str | None = None


RawT = TypeVar("RawT", RawTicket, RawArticle)
_TICKET = TypeAdapter(RawTicket)
_ARTICLE = TypeAdapter(RawArticle)


def ticket_files(folder: Path) -> list[Path]:
    """Return the files that hold the tickets of a raw folder.

    Raises:
        ConfigError: the folder or its tickets are missing.
    """
    whole = folder / "tickets.jsonl"
    files = [whole] if whole.is_file() else sorted(folder.glob("tickets-*.jsonl"))
    files = [path for path in files if not path.stem.endswith("-manifest")]
    if not files:
        raise ConfigError(
            f"There is no tickets.jsonl in {folder}. Export it with `replybench export zoho-desk --out {folder}`, or "
            "bring your own in the raw form that docs/DATA.md describes."
        )
    return files


def read_articles(folder: Path, mapping: Mapping | None = None) -> Iterator[RawArticle]:
    """Yield the articles of a raw folder, one at a time.

    Raises:
        ConfigError: the file is missing.
        InvalidInput: a line cannot be read; the message names file, line and field, not the content.
    """
    path = folder / "articles.jsonl"
    if not path.is_file():
        raise ConfigError(
            f"There is no articles.jsonl in {folder}. A raw folder needs it; leave the file empty if there is "
            f"no help centre."
        )
    for number, row in _lines(path):
        yield _parsed(_ARTICLE, mapping.article(row) if mapping else row, path, number)


def read_tickets(folder: Path, mapping: Mapping | None = None) -> Iterator[RawTicket]:
    """Yield the tickets of a raw folder, one at a time, in the order of the export. Raises like `read_articles`."""
    for path in ticket_files(folder):
        for number, row in _lines(path):
            yield _parsed(_TICKET, mapping.ticket(row) if mapping else row, path, number)


def _lines(path: Path) -> Iterator[tuple[int, dict[str, Any]]]:
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            if not line.strip():
                continue
            try:
                row = json.loads(line)
            except ValueError:
                half = "" if line.endswith(b"\n") else " It ends in mid-line: was the export cut off? Run it again."
                raise InvalidInput(f"{path}, line {number}: this is not a JSON object.{half}") from None
            if not isinstance(row, dict):
                raise InvalidInput(f"{path}, line {number}: a JSON object was expected.")
            yield number, row


def _parsed(adapter: TypeAdapter[RawT], row: dict[str, Any], path: Path, number: int) -> RawT:
    try:
        return adapter.validate_python(row)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        where = ".".join(str(part) for part in first["loc"]) or "the object"
        # pydantic's own sentence may quote the value (a customer's words), so only its kind of complaint is told
        raise InvalidInput(f"{path}, line {number}: '{where}' is wrong ({first['type'].replace('_', ' ')}).") from None
