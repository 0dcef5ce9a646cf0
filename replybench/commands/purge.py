"""`replybench purge`: retention."""

from typing import Annotated

import typer


def command(
    older_than: Annotated[str, typer.Option(help="Age of the tickets, such as 180d or 26w.")],
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only count.")] = False,
) -> None:
    """Remove the texts of old tickets, their answers, comments and corrections; scores and all figures stay.

    Made for a timer: a second run finds nothing to do.
    """
    from backend.services import keeping
    from replybench.commands._operations import operator, operator_session

    age = keeping.span(older_than)
    with operator_session() as session:
        tickets, emptied = keeping.purge(session, operator(), age, dry_run=dry_run)
    if dry_run:
        print(f"{tickets} tickets are older than {older_than} and still have their texts. Nothing was changed.")
    else:
        print(f"Removed the texts of {tickets} tickets and {emptied.get('answer', 0)} answers. All figures stay.")
