"""`replybench register`: a run's adapter becomes a candidate of a lineup."""

import importlib.util
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from replybench.lineups import Candidate
    from training.finetune.run_folder import RunFolder


class Engine(StrEnum):
    """The engines that serve a run's result."""

    TRANSFORMERS = "transformers"
    FAST = "fast"


def command(
    run: Annotated[str, typer.Argument(help="Name of a finished run.")],
    lineup: Annotated[Path, typer.Option(help="The lineup that gets the candidate.")] = Path("lineups/demo.toml"),
    key: Annotated[str | None, typer.Option(help="The candidate's key; the run's name if not given.")] = None,
    name: Annotated[str | None, typer.Option(help="What people read when answers are revealed.")] = None,
    engine: Annotated[
        Engine | None, typer.Option(help="What serves it; the engine of the adapters on the same base if not given.")
    ] = None,
) -> None:
    """Add a run's adapter to a lineup; for the fast engine it is exported at once, and the export is proved.

    A running backend takes it with `replybench lineup reload`, without a restart.
    """
    from training.finetune.register import register
    from training.finetune.run_folder import run_folder
    from training.settings import TrainingSettings

    folder = run_folder(TrainingSettings().runs_dir, run)

    def prove(candidate: "Candidate") -> None:
        if candidate.engine == "fast":
            _export(candidate, folder)

    candidate = register(folder, lineup, key=key, name=name, engine=engine.value if engine else None, prove=prove)
    typer.echo(f"{lineup} has the candidate '{candidate.key}' ({candidate.name}) now.")
    typer.echo(
        f"A backend that runs takes it with 'replybench lineup reload' (or kill -HUP) if {lineup.stem} is its lineup, "
        f"else with 'replybench lineup use {lineup.stem}'. Nobody's answer is lost meanwhile."
    )


def _export(candidate: "Candidate", folder: "RunFolder") -> None:
    """Export a run's result for the fast engine, proved on the run's own held-out split."""
    from replybench.errors import ConfigError

    if importlib.util.find_spec("openvino_genai") is None:
        raise ConfigError(
            "The fast engine is not installed here (pip install 'replybench[backend,models]'; not every system has a "
            "build of OpenVINO GenAI). Register on the machine that serves, or use --engine transformers."
        )
    from backend.engines.export import export_candidate, told
    from backend.engines.fast_engine import check_settings
    from backend.engines.threads import wait_politely
    from training.finetune.heldout import heldout_texts
    from training.finetune.register import finished_result
    from training.settings import TrainingSettings

    check_settings(candidate)
    wait_politely()
    settings = TrainingSettings()
    recipe, _ = finished_result(folder)
    held_out = heldout_texts(folder, recipe, settings, typer.echo)
    if held_out is None:
        typer.echo(f"{recipe.data.path} is not what the run was judged by any more; made-up threads take its place.")
    typer.echo(f"Exporting '{candidate.key}' for the fast engine")
    report = export_candidate(
        candidate,
        settings.model_cache_dir,
        held_out=held_out,
        texts="the run's held-out split",
        progress=lambda line: typer.echo(f"  {line}"),
    )
    typer.echo(f"Exported in {report.seconds:.0f} s: held-out loss {report.fast_loss:.4f}, {told(report)}.")
