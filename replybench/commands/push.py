"""`replybench push`: a run's adapter and card to the Hugging Face Hub."""

from typing import Annotated

import typer


def command(
    run: Annotated[str, typer.Argument(help="Name of a finished run.")],
    repo: Annotated[str, typer.Option(help="The repository: organisation/name.")],
    public: Annotated[bool, typer.Option("--public", help="Make a new repository public.")] = False,
) -> None:
    """Upload a run's adapter, card, recipe and losses. HF_TOKEN must be allowed to write to the repository."""
    from training.finetune.push import push
    from training.finetune.run_folder import run_folder
    from training.settings import TrainingSettings

    settings = TrainingSettings()
    typer.echo(push(run_folder(settings.runs_dir, run), repo, settings, public=public))
