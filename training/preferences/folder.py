"""The preferences folder: what `replybench preferences` writes and what a DPO or KTO run reads."""

import hashlib
import json
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from replybench.errors import ConfigError, InvalidInput
from replybench.prompts import Turn
from training.preferences.pairs import Label, Made, Pair, Rules

PAIRS_FILE, LABELS_FILE, REPORT_FILE = "pairs.jsonl", "labels.jsonl", "report.json"
#: Replaces personal data in the texts of one ticket (subject, turns, answers), in order.
Redact = Callable[[Sequence[str]], list[str]]
RowT = TypeVar("RowT", Pair, Label)


@dataclass(frozen=True, slots=True)
class Preferences:
    """A preferences folder in memory."""

    pairs: list[Pair]
    labels: list[Label]
    fingerprint: str


def redacted(made: Made, redact: Redact) -> Made:
    """Return the rows with personal data replaced: a rater may have typed some into a correction."""
    return Made(
        [_redacted(pair, ("chosen", "rejected"), redact) for pair in made.pairs],
        [_redacted(label, ("answer",), redact) for label in made.labels],
        made.left_out,
    )


def _redacted(row: RowT, fields: tuple[str, ...], redact: Redact) -> RowT:
    texts = redact([row.subject, *(turn.text for turn in row.turns), *(getattr(row, name) for name in fields)])
    turns = tuple(Turn(turn.role, text) for turn, text in zip(row.turns, texts[1:], strict=False))
    answers = dict(zip(fields, texts[1 + len(turns) :], strict=True))
    return row.model_copy(update={"subject": texts[0], "turns": turns, **answers})


def write_preferences(out: Path, made: Made, rules: Rules, source: dict[str, Any]) -> dict[str, Any]:
    """Write the folder and return its report (counts, rules, fingerprint)."""
    out.mkdir(parents=True, exist_ok=True)
    report = {
        **source,
        "rules": rules.model_dump(),
        "pairs": _counts(made.pairs),
        "labels": {**_counts(made.labels), "good": sum(label.is_good for label in made.labels)},
        "left_out": dict(sorted(made.left_out.items())),
        "fingerprint": fingerprint(made.pairs, made.labels),
    }
    # The report comes last: a folder without one, or with another's, is refused.
    (out / REPORT_FILE).unlink(missing_ok=True)
    for name, rows in ((PAIRS_FILE, made.pairs), (LABELS_FILE, made.labels)):
        _replace(out / name, b"".join(_canonical(row) for row in rows))
    _replace(out / REPORT_FILE, json.dumps(report, indent=2).encode() + b"\n")
    return report


def load_preferences(path: Path) -> Preferences:
    """Read a folder that `replybench preferences` wrote.

    Raises:
        ConfigError: it is not there, not whole, or was changed since.
        InvalidInput: a line cannot be read.
    """
    try:
        said = json.loads((path / REPORT_FILE).read_bytes())["fingerprint"]
    except (OSError, ValueError, KeyError) as error:
        raise ConfigError(f"{path} holds no preferences. Make them: replybench preferences --out {path}") from error
    pairs, labels = _read(path / PAIRS_FILE, Pair), _read(path / LABELS_FILE, Label)
    if said != fingerprint(pairs, labels):
        raise ConfigError(f"{path} was changed after it was written. Run `replybench preferences` again.")
    return Preferences(pairs, labels, said)


def fingerprint(pairs: Iterable[Pair], labels: Iterable[Label]) -> str:
    """Return the SHA-256 (hex) of the rows, whatever their order."""
    digest = hashlib.sha256()
    for line in sorted(_canonical(row) for rows in (pairs, labels) for row in rows):
        digest.update(line)
    return digest.hexdigest()


def _read(file: Path, model: type[RowT]) -> list[RowT]:
    rows = []
    try:
        lines = file.read_bytes().splitlines()
    except OSError as error:
        raise ConfigError(f"{file} is missing. Run `replybench preferences` again.") from error
    for number, line in enumerate(lines, start=1):
        try:
            rows.append(model.model_validate_json(line))
        except ValidationError:
            raise InvalidInput(f"{file}, line {number} is not as preferences must be.") from None
    return rows


def _counts(rows: Sequence[Pair] | Sequence[Label]) -> dict[str, int]:
    kinds: Counter[str] = Counter(row.kind for row in rows)
    return {"rows": len(rows), "heldout": sum(row.split == "heldout" for row in rows), **dict(kinds)}


def _canonical(row: BaseModel) -> bytes:
    plain = row.model_dump(mode="json")
    return json.dumps(plain, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode() + b"\n"


def _replace(file: Path, content: bytes) -> None:
    part = file.with_name(f".{file.name}.part")
    part.write_bytes(content)
    part.replace(file)
