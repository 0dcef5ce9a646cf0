"""`replybench challenge`: the same tickets again, blind, from the old and the new adapter."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    run: Annotated[str, typer.Argument(help="The run that made the new adapter.")],
    study: Annotated[str, typer.Option(help="The study whose rated tickets are asked again.")],
    against: Annotated[str, typer.Option(help="Key of the candidate that serves now.")],
    key: Annotated[str | None, typer.Option(help="Key of the new candidate; the run's name if not given.")] = None,
    as_: Annotated[str | None, typer.Option("--as", help="Name of the new study; challenge-RUN if not given.")] = None,
    overlap: Annotated[int, typer.Option(help="How many raters each ticket is to have.", min=1, max=20)] = 1,
    limit: Annotated[int, typer.Option(help="At most so many tickets.", min=1)] = 200,
    lineup: Annotated[Path, typer.Option(help="The lineup that the backend serves.")] = Path("lineups/demo.toml"),
    url: Annotated[str | None, typer.Option(help="The backend; the running demo's if not given.")] = None,
) -> None:
    """Queue a study's tickets for two candidates only, as a study of its own. Raters get them as their next ones."""
    from db.session import connect
    from replybench.errors import ConfigError
    from replybench.lineups import load_lineup
    from training.preferences.studies import challenge
    from training.settings import TrainingSettings, backend_of

    settings = TrainingSettings()
    database_url = settings.database()
    if database_url is None:
        raise ConfigError("No database: set DATABASE_URL, or start the demo first.")
    engine = connect(database_url, pool_size=1)
    name = as_ or f"challenge-{run}"
    count = challenge(
        engine,
        backend_of(settings, url),
        old_study=study,
        new_study=name,
        title=f"{run} against {against}",
        lineup=load_lineup(lineup).name,
        candidates=(against, key or run),
        overlap=overlap,
        limit=limit,
    )
    typer.echo(
        f"{count} tickets were added to the queue of the study '{name}' (replybench queue status --study {name}). "
        f"When they are rated: replybench promote {run} --study {name}"
    )
