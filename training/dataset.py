"""The prepared data set: what `replybench prepare` writes and what a training run reads.

A prepared folder holds `articles.jsonl`, `threads.jsonl` and `report.json` (besides the study's text files, a
`datasets` folder and pictures, all made from the same rows). Its fingerprint is over the rows themselves, so two
folders with the same content have the same fingerprint whatever wrote them.
"""

import hashlib
import json
from collections.abc import Iterable, Iterator
from itertools import chain
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from replybench.errors import ConfigError, InvalidInput
from replybench.prompts import OUTCOME_LINES, Turn, article_segments, thread_segments

Outcome = Literal["success", "failure", "unknown"]
Split = Literal["train", "heldout"]

ARTICLES_FILE = "articles.jsonl"
THREADS_FILE = "threads.jsonl"
REPORT_FILE = "report.json"


class _Row(BaseModel):
    """A row that cannot be changed; unknown keys are refused, since nobody else writes these files."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Article(_Row):
    """One help article, plain text. `category` is None where the help centre names none; `language` is ISO 639-1."""

    id: str
    title: str
    category: str | None
    text: str
    language: str

    def study_text(self) -> str:
        """Return the article in the study's text form, with a newline at the end."""
        return "".join(segment.text for segment in article_segments(self.title, self.category, self.text))


class Thread(_Row):
    """One ticket with its answers, personal data replaced by placeholders.

    Attributes:
        turns: oldest first; the first is the customer's, and at least one is an agent's.
        outcome_rule: the name of the rule that decided the outcome.
        group: near-duplicate tickets share a group, and a group is never on both sides of the split.
    """

    id: str
    subject: str
    turns: tuple[Turn, ...] = Field(min_length=2)
    outcome: Outcome
    outcome_rule: str
    language: str
    category: str | None
    group: str
    split: Split

    def study_text(self) -> str:
        """Return the thread in the study's text form, its outcome as the last line where it is known."""
        text = "".join(segment.text for segment in thread_segments(self.subject, self.turns))
        closing = OUTCOME_LINES.get(self.outcome)
        return f"{text}{closing}\n" if closing else text


class Prepared(BaseModel):
    """A prepared data set in memory. Rows are in the order of the files."""

    model_config = ConfigDict(frozen=True)

    articles: tuple[Article, ...]
    threads: tuple[Thread, ...]
    fingerprint: str

    def threads_of(self, split: Split, outcomes: Iterable[Outcome] = ("success",)) -> list[Thread]:
        """Return the threads of one side of the split that ended in one of `outcomes`."""
        wanted = set(outcomes)
        return [thread for thread in self.threads if thread.split == split and thread.outcome in wanted]


RowT = TypeVar("RowT", Article, Thread)

_THREAD = TypeAdapter(Thread)
_ARTICLE = TypeAdapter(Article)


def load_prepared(path: Path) -> Prepared:
    """Read a folder that `replybench prepare` wrote, and check that it is whole.

    Raises:
        ConfigError: the folder or one of its files is missing, or its content is not what its report says.
        InvalidInput: a line cannot be read; the message names file and line.
    """
    articles = tuple(_rows(path / ARTICLES_FILE, _ARTICLE))
    threads = tuple(_rows(path / THREADS_FILE, _THREAD))
    found = fingerprint(articles, threads)
    said = _report(path / REPORT_FILE).get("fingerprint")
    if said != found:
        raise ConfigError(
            f"{path} was changed after it was prepared: its report has the fingerprint {str(said)[:12]}…, its rows "
            f"have {found[:12]}…. Run `replybench prepare` again."
        )
    return Prepared(articles=articles, threads=threads, fingerprint=found)


def canonical(row: BaseModel) -> bytes:
    """Return a row as one line of JSON that is the same on every machine: sorted keys, UTF-8, no spaces."""
    plain = row.model_dump(mode="json")
    return json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def fingerprint(articles: Iterable[Article], threads: Iterable[Thread]) -> str:
    """Return the SHA-256 (hex) of the rows, whatever their order. Holds 32 bytes per row, not the rows."""
    return fingerprint_of(chain(map(digest, articles), map(digest, threads)))


def digest(row: Article | Thread) -> bytes:
    """Return the SHA-256 of a row and its kind, of which the fingerprint is made."""
    kind = b"article" if isinstance(row, Article) else b"thread"
    return hashlib.sha256(kind + canonical(row)).digest()


def fingerprint_of(digests: Iterable[bytes]) -> str:
    """Return the fingerprint of rows from what `digest` returned for each of them."""
    return hashlib.sha256(b"".join(sorted(digests))).hexdigest()


def _rows(path: Path, adapter: TypeAdapter[RowT]) -> Iterator[RowT]:
    if not path.is_file():
        raise ConfigError(f"{path} is missing. Make the folder with `replybench prepare --in RAW --out {path.parent}`.")
    with path.open("rb") as lines:
        for number, line in enumerate(lines, start=1):
            try:
                yield adapter.validate_json(line)
            except ValidationError as error:
                where = ".".join(str(part) for part in error.errors()[0]["loc"]) or "the line"
                raise InvalidInput(f"{path}, line {number}: {where} is not as prepared data must be.") from None


def _report(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise ConfigError(f"{path} is missing: the preparation did not finish. Run `replybench prepare` again.")
    try:
        report = json.loads(path.read_bytes())
    except ValueError:
        raise ConfigError(f"{path} is not JSON. Run `replybench prepare` again.") from None
    return report if isinstance(report, dict) else {}
