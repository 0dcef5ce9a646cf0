"""`replybench queue`: fill a study's queue, and see how far it is."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Fill a study's queue of tickets, and see how far it is.",
)
Study = Annotated[str, typer.Option(help="The study's name.")]
Url = Annotated[str | None, typer.Option(help="Address of the backend; the local stack's if not given.")]
ApiKey = Annotated[str | None, typer.Option(envvar="API_KEY", help="A key with the scope 'studies'.")]


@app.command(name="import")
def import_(
    path: Annotated[
        Path, typer.Argument(help="CSV (text, subject, id, category, language), JSON lines, or a prepared folder.")
    ],
    study: Study,
    url: Url = None,
    api_key: ApiKey = None,
) -> None:
    """Put tickets into a study's queue. A wrong line stores nothing; repeated, the same tickets stay one each."""
    from replybench.commands._running import call
    from replybench.queue_contract import QueueImport, QueueImported
    from replybench.ticket_files import batches, read_path

    tickets = read_path(path)
    added = known = 0
    for batch in batches(tickets):
        body = QueueImport(tickets=batch).model_dump(mode="json", exclude_none=True)
        told = call("POST", _address(study, "tickets"), url=url, api_key=api_key, body=body)
        done = QueueImported.model_validate(told)
        added, known = added + done.added, known + done.known
        print(f"{added + known} of {len(tickets)} tickets")
    print(f"Study '{study}': {added} added, {known} there already. The backend answers them in the background.")


@app.command()
def status(study: Study, url: Url = None, api_key: ApiKey = None) -> None:
    """Show how many tickets are answered and rated, and what each rater has done."""
    from replybench.commands._running import call
    from replybench.queue_contract import StudyProgress

    told = StudyProgress.model_validate(call("GET", _address(study, "progress"), url=url, api_key=api_key))
    print("  ".join(f"{place} {count}" for place, count in told.queue.model_dump().items()))
    if told.halted == "lineup":
        print("No answers are made: another lineup than the study's is in use. See: replybench lineup --help")
    for rater in told.raters:
        pace = f"{rater.seconds:.0f} s per ticket" if rater.seconds is not None else "–"
        print(f"  {rater.name}: {rater.rated} rated, {rater.skipped} skipped, {rater.holding} in hand, {pace}")


def _address(study: str, what: str) -> str:
    from urllib.parse import quote

    return f"/api/studies/{quote(study, safe='')}/{what}"
