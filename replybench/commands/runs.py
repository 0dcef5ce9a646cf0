"""`replybench runs`: what was trained, from the runs' folders; no database is needed."""

import json
from typing import Annotated, Any

import typer


def command(
    as_json: Annotated[bool, typer.Option("--json", help="Write JSON, for programs.")] = False,
) -> None:
    """List the training runs, newest first."""
    from training.finetune.run_folder import all_runs, run_folder
    from training.settings import TrainingSettings

    settings = TrainingSettings()
    states = all_runs(settings.runs_dir)
    if as_json:
        typer.echo(json.dumps([state.model_dump(mode="json") for state in states], indent=2))
        return
    if not states:
        typer.echo(f"There is no run in {settings.runs_dir}. Start one: replybench train training/recipes/….yaml")
        return
    from rich.console import Console
    from rich.table import Table

    columns = ("run", "base", "method", "status", "step", "loss", "held out", "GiB (est.)", "min (est.)", "started")
    table = Table(*columns, box=None, pad_edge=False)
    for state in states:
        steps = run_folder(settings.runs_dir, state.name).metrics()
        latest = {key: value for row in steps for key, value in row.values.items()}
        table.add_row(
            state.name,
            state.base,
            f"{state.kind} {state.method}",
            state.shown_status,
            f"{steps[-1].step if steps else 0}/{state.total_steps}",
            _number(latest.get("loss")),
            _number(latest.get("eval_loss")),
            _beside(state.summary, "peak_memory_mib", 1024),
            _beside(state.summary, "seconds", 60),
            f"{state.started_at:%Y-%m-%d %H:%M}",
        )
    Console().print(table)


def _beside(summary: dict[str, Any], key: str, unit: float) -> str:
    """Return what was measured, and in brackets what was estimated before."""
    values = (summary.get(key), summary.get("estimate", {}).get(key))
    measured, expected = ("" if value is None else f"{value / unit:.1f}" for value in values)
    return f"{measured} ({expected})".strip() if expected else measured


def _number(value: float | None) -> str:
    return "" if value is None else f"{value:.3f}"
