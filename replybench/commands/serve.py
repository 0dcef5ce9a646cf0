"""`replybench serve`: the backend alone."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.")] = 8000,
    lineup: Annotated[Path | None, typer.Option(help="Lineup file, in place of the setting LINEUP.")] = None,
    migrate: Annotated[bool, typer.Option(help="Bring the database's schema up to date first.")] = True,
) -> None:
    """Start the backend. Settings come from the environment and from .env; see .env.example."""
    from backend.serving import serve
    from backend.settings import load_settings

    settings = load_settings()
    if lineup is not None:
        settings = settings.model_copy(update={"lineup": lineup})
    serve(settings, host, port, migrate=migrate)
