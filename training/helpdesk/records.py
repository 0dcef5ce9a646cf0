"""Where an export keeps what it has: one file per record, whole or not at all, so that it can be cut off anywhere.

OUT/.records/tickets/<id>.json     {"version": …, "row": {…}}
OUT/.records/articles/<id>.json
OUT/tickets.jsonl, OUT/articles.jsonl   made from them at the end, in one step each
"""

import errno
import hashlib
import json
import os
import re
from collections.abc import Collection
from contextlib import suppress
from pathlib import Path
from typing import Any, Literal

from replybench.errors import Unavailable

Kind = Literal["tickets", "articles"]


class Records:
    """The records of one export folder."""

    def __init__(self, folder: Path) -> None:
        """Make the folder if it is not there."""
        self._folder = folder
        for kind in ("tickets", "articles"):
            (folder / ".records" / kind).mkdir(parents=True, exist_ok=True)
        for leftover in folder.glob(".records/*/*.tmp"):
            leftover.unlink(missing_ok=True)

    def version(self, kind: Kind, name: str) -> str | None:
        """Return the version that a record was saved with, or None if there is none."""
        record = self._read(self._path(kind, name))
        return record["version"] if record else None

    def save(self, kind: Kind, name: str, version: str, row: dict[str, Any]) -> None:
        """Save a record, all of it or nothing."""
        content = json.dumps({"version": version, "row": row}, ensure_ascii=False, sort_keys=True)
        _write_whole(self._path(kind, name), [content.encode()])

    def assemble(self, kind: Kind, names: Collection[str]) -> int:
        """Write OUT/<kind>.jsonl from the records of `names`, oldest first; return how many there are."""
        rows = []
        for name in names:
            record = self._read(self._path(kind, name))
            if record:
                row = record["row"]
                key = str(row.get("created_at") or "")
                rows.append((key, int(name) if name.isdigit() else 0, name))
        lines = (self._line(kind, name) for _, _, name in sorted(rows))
        _write_whole(self._folder / f"{kind}.jsonl", lines)
        return len(rows)

    def _line(self, kind: Kind, name: str) -> bytes:
        record = self._read(self._path(kind, name))
        return json.dumps(record["row"] if record else {}, ensure_ascii=False).encode() + b"\n"

    def _path(self, kind: Kind, name: str) -> Path:
        safe = name if re.fullmatch(r"[\w-]{1,64}", name) else hashlib.sha256(name.encode()).hexdigest()
        return self._folder / ".records" / kind / f"{safe}.json"

    @staticmethod
    def _read(path: Path) -> dict[str, Any] | None:
        with suppress(FileNotFoundError, ValueError):
            record = json.loads(path.read_bytes())
            if isinstance(record, dict) and {"version", "row"} <= record.keys():
                return record
        return None


def _write_whole(path: Path, pieces: Any) -> None:
    """Write a file beside its place and move it there when it is on the disk."""
    temporary = path.with_suffix(f"{path.suffix}.tmp")
    try:
        with temporary.open("wb") as target:
            target.writelines(pieces)
            target.flush()
            os.fsync(target.fileno())
        temporary.replace(path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        full = error.errno in {errno.ENOSPC, errno.EDQUOT}
        raise Unavailable(
            f"{'The disk is full' if full else error.strerror}: {path.parent} cannot be written. What was "
            f"exported before "
            "is whole; make room and run the same command again."
        ) from error
