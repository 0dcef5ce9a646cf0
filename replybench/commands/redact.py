"""`replybench redact`: placeholders in the place of personal data, line by line, so that anyone can measure it."""

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer


def command(
    source: Annotated[Path, typer.Option("--in", help="JSON lines with id and text; - reads standard input.")] = Path(
        "-"
    ),
    out: Annotated[Path | None, typer.Option(help="Where the result goes; standard output if not given.")] = None,
    names: Annotated[str, typer.Option(help="How names are found: auto, model or patterns.")] = "auto",
) -> None:
    """Read {id, text} lines; write {id, text, entities: [{kind, start, end}]}, positions in the text that was read."""
    from replybench.errors import ConfigError, InvalidInput
    from replybench.redaction import Redactor, presidio

    if names not in {"auto", "model", "patterns"}:
        raise InvalidInput(f"--names is auto, model or patterns, not '{names}'.")
    presidio.load_alone()
    redactor = Redactor(names)  # type: ignore[arg-type]  # checked above
    if redactor.notice:
        typer.echo(f"Note: {redactor.notice}", err=True)
    if str(source) != "-" and not source.is_file():
        raise ConfigError(f"{source} does not exist.")
    stream = sys.stdin if str(source) == "-" else source.open(encoding="utf-8")
    target = out.open("w", encoding="utf-8") if out else sys.stdout
    try:
        for row in _rows(stream, str(source)):
            result = redactor.redact(row["text"])
            entities = [{"kind": e.kind.value, "start": e.start, "end": e.end} for e in result.entities]
            target.write(
                json.dumps({"id": row["id"], "text": result.text, "entities": entities}, ensure_ascii=False) + "\n"
            )
    finally:
        if out:
            target.close()


def _rows(lines: Any, name: str) -> Iterator[dict[str, Any]]:
    from replybench.errors import InvalidInput

    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            row = json.loads(line)
            is_row = isinstance(row, dict) and "id" in row and isinstance(row.get("text"), str)
        except ValueError:
            is_row = False
        if not is_row:
            raise InvalidInput(f"{name}, line {number}: an object with id and text was expected.")
        yield row
