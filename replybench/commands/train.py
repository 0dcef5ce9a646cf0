"""`replybench train`: one recipe in, one adapter out."""

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from training.finetune.callbacks import Watcher
    from training.finetune.run_folder import RunFolder
    from training.settings import TrainingSettings


def command(
    recipe: Annotated[Path, typer.Argument(help="A recipe, such as training/recipes/llama-2-7b-qlora.yaml.")],
    name: Annotated[str | None, typer.Option(help="Name of the run; the recipe's own if not given.")] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the run's last checkpoint.")] = False,
    again: Annotated[bool, typer.Option("--again", help="Remove an earlier run of this name first.")] = False,
    estimate: Annotated[bool, typer.Option("--estimate", help="Tell memory and time, and train nothing.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Show the resolved recipe and the data, and train nothing.")
    ] = False,
    into: Annotated[Path | None, typer.Option(help="Copy the finished adapter into this folder too.")] = None,
) -> None:
    """Fine-tune by a recipe. The run's curves go to its folder, to the console's Training page and to trackers."""
    quiet_libraries()
    from training.finetune.recipe import load_recipe
    from training.finetune.run_folder import run_folder
    from training.settings import TrainingSettings

    settings = TrainingSettings()
    chosen = load_recipe(recipe)
    if dry_run:
        from training.finetune.preview import dry_run_report

        typer.echo(dry_run_report(chosen, settings))
        return
    if estimate:
        from training.finetune.preview import estimate_report

        typer.echo(estimate_report(chosen, settings))
        return
    from training.finetune.run import copy_result, remove_run, train

    folder = run_folder(settings.runs_dir, name or chosen.name)
    if again:
        remove_run(folder)
    state = train(chosen, folder, settings, resume=resume, watchers=_watchers(folder, settings), say=_say)
    if int(os.environ.get("RANK", "0")) == 0:
        _tell_end(folder, state.summary)
        if into is not None:
            copy_result(chosen, folder, into)
            _say(f"Copied into {into}.")


def quiet_libraries() -> None:
    """Keep the libraries' bars and notices out of ours; set before they are imported."""
    import warnings

    for key in ("TRANSFORMERS_VERBOSITY", "DATASETS_VERBOSITY", "HF_HUB_VERBOSITY"):
        os.environ.setdefault(key, "error")
    os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    # Spinning threads starve each other where a machine is shared; waiting ones cost next to nothing.
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    warnings.filterwarnings("ignore", category=FutureWarning, module=r"transformers|trl|peft")
    warnings.filterwarnings("ignore", category=UserWarning, module=r"peft")


def _say(sentence: str) -> None:
    sys.stderr.write(f"{sentence}\n")
    sys.stderr.flush()


def _watchers(folder: "RunFolder", settings: "TrainingSettings") -> "list[Watcher]":
    from training.finetune.progress import Progress

    watchers: list[Watcher] = [Progress()]
    if url := settings.database():
        from db.session import connect
        from training.finetune.mirror import DatabaseMirror

        watchers.append(DatabaseMirror(connect(url, pool_size=1), folder, _say))
    return watchers


def _tell_end(folder: "RunFolder", summary: dict[str, object]) -> None:
    before, after = summary.get("heldout_loss_before"), summary.get("heldout_loss")
    if isinstance(before, float) and isinstance(after, float):
        _say(f"Held-out loss {before:.4f} → {after:.4f} ({100 * (after / before - 1):+.1f}%).")
    _say(f"The result and its card are in {folder.adapter if folder.adapter.exists() else folder.path / 'model'}.")
    _say(f"Next: replybench register {folder.name} --lineup lineups/….toml")
