"""`replybench keys`: the keys of API clients."""

from datetime import datetime
from typing import Annotated

import typer

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Make, list and revoke the keys of API clients.",
)


@app.command()
def create(
    name: Annotated[str, typer.Argument(help="What to call it, such as the client's name.")],
    scope: Annotated[
        list[str], typer.Option(help="suggest, rate, complete, results, operate, act_as or admin; may be repeated.")
    ],
    rate: Annotated[int, typer.Option(min=1, help="Requests a minute.")] = 600,
    concurrent: Annotated[int, typer.Option(min=1, help="Requests at once, open streams included.")] = 32,
) -> None:
    """Make a key and show it, this once."""
    from backend.security import keys
    from replybench.commands._operations import operator_session

    with operator_session() as session:
        key, secret = keys.create(session, name, scope, rate, concurrent)
    typer.echo(f"The key '{key.name}' may: {', '.join(key.scopes)}. It is shown this once and not kept:", err=True)
    typer.echo(secret)


@app.command("list")
def list_() -> None:
    """Show all keys: what they may, when they were used last, which are revoked."""
    from rich.box import SIMPLE_HEAD
    from rich.console import Console
    from rich.table import Table

    from db import queries_operations
    from replybench.commands._operations import operator_session

    with operator_session() as session:
        rows = [
            (
                key.name,
                f"{key.hint}…",
                " ".join(key.scopes),
                f"{key.rate_per_minute}/min, {key.max_concurrent} at once",
                _when(key.created_at),
                _when(key.last_used_at),
                _when(key.revoked_at),
            )
            for key in queries_operations.keys(session)
        ]
    if not rows:
        print("There are no keys. Make one with: replybench keys create NAME --scope suggest --scope rate")
        return
    table = Table("name", "key", "scopes", "limits", "made", "last used", "revoked", box=SIMPLE_HEAD)
    for row in rows:
        table.add_row(*row)
    Console(width=None if typer.get_text_stream("stdout").isatty() else 160).print(table)


@app.command()
def revoke(name: Annotated[str, typer.Argument(help="The key's name.")]) -> None:
    """End a key for good; every backend process refuses it within seconds."""
    from backend.security import keys
    from replybench.commands._operations import operator_session

    with operator_session() as session:
        keys.revoke(session, name)
    print(f"The key '{name}' is revoked.")


def _when(moment: datetime | None) -> str:
    return f"{moment:%Y-%m-%d %H:%M}" if moment else "–"
