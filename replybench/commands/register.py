"""`replybench register`: a run's adapter becomes a candidate of a lineup."""

from pathlib import Path
from typing import Annotated

import typer


def command(
    run: Annotated[str, typer.Argument(help="Name of a finished run.")],
    lineup: Annotated[Path, typer.Option(help="The lineup that gets the candidate.")] = Path("lineups/demo.toml"),
    key: Annotated[str | None, typer.Option(help="The candidate's key; the run's name if not given.")] = None,
    name: Annotated[str | None, typer.Option(help="What people read when answers are revealed.")] = None,
) -> None:
    """Add a run's adapter to a lineup. The backend serves it from its next start."""
    from training.finetune.register import register
    from training.finetune.run_folder import run_folder
    from training.settings import TrainingSettings

    candidate = register(run_folder(TrainingSettings().runs_dir, run), lineup, key=key, name=name)
    typer.echo(f"{lineup} has the candidate '{candidate.key}' ({candidate.name}) now. Restart the backend to serve it.")
