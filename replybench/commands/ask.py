"""`replybench ask`: ask the running stack from a terminal."""

import getpass
import sys
from typing import Annotated

import typer


def command(
    text: Annotated[str, typer.Argument(help="What the customer wrote; '-' reads it from standard input.")],
    subject: Annotated[str, typer.Option(help="The ticket's subject.")] = "",
    url: Annotated[str | None, typer.Option(help="Address of the backend; the local stack's if not given.")] = None,
    api_key: Annotated[str | None, typer.Option(envvar="API_KEY", help="The backend's API key.")] = None,
    name: Annotated[str, typer.Option(help="Who asks.")] = "",
) -> None:
    """Ask every candidate and print the answers (A, B, C: blind) as they come."""
    from replybench.asking import Terminal, ask

    ticket = sys.stdin.read() if text == "-" else text
    ask(ticket, subject=subject, url=url, api_key=api_key, name=name or getpass.getuser(), screen=Terminal(sys.stdout))
