"""`replybench forget`: erase a person."""

from typing import Annotated

import typer

from replybench.errors import InvalidInput


def command(
    contact: Annotated[str | None, typer.Option(help="A customer's e-mail address or telephone number.")] = None,
    rater: Annotated[str | None, typer.Option(help="A rater's name.")] = None,
) -> None:
    """Erase what a customer wrote and was answered, or a rater's name and words. Scores stay, under no name.

    Data sets and exports on disk are not reached: export and prepare them again (see docs/OPERATIONS.md).
    """
    from backend.services import keeping
    from replybench.commands._operations import operator, operator_session

    if (contact is None) == (rater is None):
        raise InvalidInput("Say either --contact or --rater.")
    with operator_session() as session:
        if contact is not None:
            emptied = keeping.forget_contact(session, operator(), contact)
            print(f"Erased: {emptied['ticket']} tickets, {emptied['answer']} answers. Their scores stay.")
        elif rater is not None:
            found = keeping.forget_rater(session, operator(), rater)
            print(f"Erased the name and the words of {found} rater{'s' if found > 1 else ''}. The scores stay.")
