"""`replybench export`: the help centre and the ticket history out of the helpdesk."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.callback()
def callback() -> None:
    """Export the help centre and the ticket history from a helpdesk."""


@app.command("zoho-desk")
def zoho_desk(
    out: Annotated[Path, typer.Option(help="Where the raw folder goes; an earlier export there is continued.")] = Path(
        "data/raw"
    ),
    internal: Annotated[bool, typer.Option(help="Export articles that only agents may read, too.")] = False,
    private_comments: Annotated[bool, typer.Option(help="Export agents' private comments, too.")] = False,
    department: Annotated[str | None, typer.Option(help="Only tickets of the department with this id.")] = None,
    status: Annotated[str | None, typer.Option(help="Only tickets in this status, such as Closed.")] = None,
    max_requests: Annotated[
        int | None, typer.Option(help="Stop after so many API requests; run again to go on.", min=1)
    ] = None,
    keep_credits: Annotated[int, typer.Option(help="API credits of the day to leave to other programs.", min=0)] = 500,
) -> None:
    """Export from Zoho Desk. Settings: ZOHO_CLIENT_ID, ZOHO_CLIENT_SECRET, ZOHO_REFRESH_TOKEN, ZOHO_ORG_ID."""
    import asyncio

    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    from training.helpdesk.settings import ZohoSettings
    from training.helpdesk.zoho import Spending, ZohoDesk
    from training.helpdesk.zoho_export import Choice, Outcome, export

    settings = ZohoSettings()
    settings.check()
    choice = Choice(internal, private_comments, department, status)
    columns = (TextColumn("{task.description:<9}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())

    async def run() -> Outcome:
        with Progress(*columns, console=Console(stderr=True)) as bar:
            tasks = {what: bar.add_task(what, total=None) for what in ("Articles", "Tickets")}
            async with ZohoDesk(settings, Spending(max_requests, keep_credits)) as desk:
                return await export(
                    desk, out, choice, lambda what, done, of: bar.update(tasks[what], completed=done, total=of)
                )

    outcome = asyncio.run(run())
    typer.echo(
        f"{outcome.articles} articles and {outcome.tickets} tickets in {out}: {outcome.fetched} fetched, "
        f"{outcome.unchanged} unchanged, {outcome.requests} requests."
    )
