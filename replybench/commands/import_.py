"""`replybench import`: take in what was collected elsewhere."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Import ratings that were collected elsewhere.",
)


@app.callback()
def _import() -> None:
    """Import ratings that were collected elsewhere."""


@app.command()
def ratings(
    file: Annotated[Path, typer.Option("--in", help="CSV with the columns ticket, model, rater, metric, score.")],
    study: Annotated[str, typer.Option(help="Name of the study that they become.")],
    weights: Annotated[
        str | None, typer.Option(help="Such as content=0.45,grammar=0.2; all metrics equal if not given.")
    ] = None,
    scale: Annotated[str, typer.Option(help="Lowest and highest score.")] = "1-5",
    database_url: Annotated[
        str | None, typer.Option(envvar="DATABASE_URL", help="The running demo's, or the embedded one, if not given.")
    ] = None,
) -> None:
    """Load a long table of ratings as a read-only study: all of it, or nothing. The same file twice changes nothing."""
    from backend.results import importing, service
    from db.session import session_scope
    from replybench.commands.results_database import results_database

    span = _scale(scale)
    given = None if weights is None else _weights(weights)
    table = importing.read_table(file, span)
    with results_database(database_url) as database, session_scope(database) as session:
        done = importing.load(session, study, table, scale=span, weights=given)
        service.current_version(session, service.find_study(session, study))
    print(
        f"Study '{study}': {done.tickets} tickets, {done.models} models, {done.raters} raters, {done.metrics} metrics. "
        f"Ratings: {done.added} added, {done.changed} changed, {done.unchanged} as they were."
    )
    print(f"Now: replybench report --study {study} --out {study}.html")


def _weights(text: str) -> dict[str, float]:
    from replybench.errors import InvalidInput

    found: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        metric, _, weight = part.rpartition("=")
        try:
            found[metric.strip()] = float(weight)
        except ValueError as error:
            raise InvalidInput(f"--weights: '{part}' is not of the form metric=0.45.") from error
    if "" in found or not found:
        raise InvalidInput("--weights are given like content=0.45,grammar=0.2.")
    return found


def _scale(text: str):  # type: ignore[no-untyped-def]  # the type is imported when the command runs
    import re

    from backend.results.importing import Scale
    from replybench.errors import InvalidInput

    match = re.fullmatch(r"\s*(-?\d{1,6})\s*(?:-|\.\.|to)\s*(-?\d{1,6})\s*", text)
    if match is None or int(match[1]) >= int(match[2]):
        raise InvalidInput("--scale is given like 1-5: the lowest and the highest score.")
    return Scale(int(match[1]), int(match[2]))
