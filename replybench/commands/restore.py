"""`replybench restore`: bring a backup back."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    file: Annotated[Path, typer.Argument(help="The backup.")],
    replace: Annotated[bool, typer.Option("--replace", help="Throw away what the database holds.")] = False,
) -> None:
    """Check a backup, bring it into the database of DATABASE_URL, all or nothing, and its schema up to date.

    Stop the backend first: what it is just writing would be lost.
    """
    from backend.services import keeping
    from replybench.commands._operations import operator, operator_database

    with operator_database() as database:
        rows = keeping.restore(database, file, operator(), replace=replace)
    print(f"Restored: {rows['ticket']} tickets, {rows['answer']} answers, {rows['rating']} ratings.")
