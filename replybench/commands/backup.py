"""`replybench backup`: everything that the database holds, in one file."""

from pathlib import Path
from typing import Annotated

import typer


def command(file: Annotated[Path, typer.Argument(help="The file to write; it must not exist.")]) -> None:
    """Write a backup while the service goes on working. It holds tickets and answers: keep it as you keep those."""
    from backend.services import keeping
    from replybench.commands._operations import operator_database

    with operator_database() as database:
        rows = keeping.backup(database, file)
    size = file.stat().st_size / 2**20
    print(f"{file}: {size:.1f} MiB, {rows['ticket']} tickets, {rows['answer']} answers, {rows['rating']} ratings.")
