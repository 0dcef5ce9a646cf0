"""`replybench db`: the schema, and the embedded PostgreSQL."""

import signal
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Migrate the database, or start the embedded one.",
)


@app.command()
def upgrade() -> None:
    """Bring the schema of DATABASE_URL up to date."""
    from backend.settings import load_settings
    from db import migrate
    from db.session import connect, session_scope

    database = connect(load_settings().database_url)
    with session_scope(database):  # tells in one sentence if the database is away
        migrate.upgrade(database)
    print("The database's schema is up to date.")


@app.command()
def check() -> None:
    """Compare the schema of DATABASE_URL with the models; exit status 1 if they differ."""
    from alembic.util import CommandError

    from backend.settings import load_settings
    from db import migrate
    from db.session import connect, session_scope
    from replybench.errors import Conflict

    database = connect(load_settings().database_url)
    try:
        with session_scope(database):
            migrate.check(database)
    except CommandError as error:
        raise Conflict(f"The schema differs from the models: {error}. Run: replybench db upgrade") from error
    print("The database's schema is what the models describe.")


@app.command()
def start(
    data: Annotated[Path, typer.Option(help="Folder that keeps the data.")] = Path(".replybench/postgres"),
) -> None:
    """Run the embedded PostgreSQL until Ctrl-C, migrated, and print its address for DATABASE_URL."""
    from db import migrate
    from db.embedded import embedded_postgres
    from db.session import connect

    with embedded_postgres(data) as url:
        database = connect(url)
        migrate.upgrade(database)
        database.dispose()
        print(url, flush=True)
        signal.sigwait({signal.SIGINT, signal.SIGTERM})
