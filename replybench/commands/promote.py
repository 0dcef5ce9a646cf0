"""`replybench promote`: a run's adapter takes the old one's place, if the verdict favours it."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    run: Annotated[str, typer.Argument(help="The run that made the new adapter.")],
    against: Annotated[str, typer.Option(help="Key of the candidate whose place it takes.")],
    key: Annotated[str | None, typer.Option(help="Key of the new candidate; the run's name if not given.")] = None,
    study: Annotated[str | None, typer.Option(help="Where both were rated; challenge-RUN if not given.")] = None,
    lineup: Annotated[Path, typer.Option(help="The lineup to change.")] = Path("lineups/demo.toml"),
    force: Annotated[bool, typer.Option("--force", help="Promote whatever the verdict is; it is recorded.")] = False,
    reason: Annotated[str, typer.Option(help="Why, for the record.")] = "",
    url: Annotated[str | None, typer.Option(help="The backend; the running demo's if not given.")] = None,
) -> None:
    """Replace a candidate by a run's adapter. Refused unless the ratings are decided in its favour."""
    from training.finetune.run_folder import run_folder
    from training.preferences.promote import promote
    from training.preferences.studies import verdict_of
    from training.settings import TrainingSettings, backend_of

    settings = TrainingSettings()
    record = promote(
        run_folder(settings.runs_dir, run),
        lineup,
        challenger=key or run,
        champion=against,
        study=study or f"challenge-{run}",
        verdicts=lambda name: verdict_of(backend_of(settings, url), name),
        force=force,
        reason=reason,
    )
    how = "by force" if record["forced"] else "by the verdict"
    typer.echo(f"'{against}' in {lineup} is now what {run} made ({how}). Restart the backend to serve it.")
