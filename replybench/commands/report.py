"""`replybench report`: a study's results as one file."""

from pathlib import Path
from typing import Annotated, Literal

import typer


def command(
    study: Annotated[str, typer.Option(help="Name of the study; the study of 2024 is published-2024.")],
    out: Annotated[Path | None, typer.Option(help="File to write; JSON goes to the screen if not given.")] = None,
    form: Annotated[
        Literal["html", "xlsx", "json"] | None, typer.Option("--format", help="Told by the file's ending if not given.")
    ] = None,
    weights: Annotated[str, typer.Option(help="Other weights than the study's own: content=0.5,grammar=0.5.")] = "",
    database_url: Annotated[
        str | None, typer.Option(envvar="DATABASE_URL", help="The running demo's, or the embedded one, if not given.")
    ] = None,
) -> None:
    """Write a study's results: HTML that needs nothing else, an Excel workbook, or JSON."""
    import sys
    from datetime import UTC, datetime

    from backend.results import report, service
    from db.session import session_scope
    from replybench.commands.results_database import results_database

    chosen = form or _form_of(out)
    query = service.Query(study=study, weights=service.weights_from(weights))
    with results_database(database_url) as database, session_scope(database) as session:
        found = service.find_study(session, study)
        version = service.current_version(session, found)
        results = service.results(session, found, query, version=version)
    content = report.write(results, chosen, made_at=datetime.now(UTC))
    if out is None:
        sys.stdout.buffer.write(content)
        return
    _write(out, content)
    print(f"{out} holds the results of '{study}' ({chosen}, {len(content) / 1e6:.1f} MB).")


def _form_of(out: Path | None) -> Literal["html", "xlsx", "json"]:
    from replybench.errors import InvalidInput

    forms: dict[str, Literal["html", "xlsx", "json"]] = {
        ".html": "html",
        ".htm": "html",
        ".xlsx": "xlsx",
        ".json": "json",
    }
    if out is None:
        return "json"
    if out.suffix.lower() not in forms:
        raise InvalidInput(f"What should {out.name} be? Name it .html, .xlsx or .json, or give --format.")
    return forms[out.suffix.lower()]


def _write(out: Path, content: bytes) -> None:
    from replybench.errors import InvalidInput

    try:
        out.parent.mkdir(parents=True, exist_ok=True)
        out.write_bytes(content)
    except OSError as error:
        raise InvalidInput(f"{out} cannot be written: {error.strerror}.") from error
