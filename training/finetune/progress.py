"""The progress of a run on a terminal: a bar with the time left; a line now and then where there is no terminal."""

import time

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeElapsedColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from training.finetune.callbacks import Watcher
from training.finetune.run_folder import RunState, StepMetrics

#: Seconds between lines where the output is no terminal.
_LINE_EVERY_S = 15.0


class Progress(Watcher):
    """A watcher that shows where a run is."""

    def __init__(self, console: Console | None = None) -> None:
        """`console`: standard error if not given."""
        self._console = console or Console(stderr=True)
        self._bar: Bar | None = None
        self._began, self._first_step, self._told = 0.0, 0, 0.0
        self._shown: dict[str, float] = {}

    def started(self, state: RunState) -> None:
        """Draw the bar."""
        self._began = time.monotonic()
        self._first_step = -1
        if self._console.is_terminal:
            columns = (
                TextColumn("[bold]{task.fields[run]}"),
                BarColumn(),
                MofNCompleteColumn(),
                TextColumn("{task.fields[figures]}"),
                TimeElapsedColumn(),
                TextColumn("left"),
                TimeRemainingColumn(elapsed_when_finished=False),
            )
            self._bar = Bar(*columns, console=self._console, speed_estimate_period=300)
            self._bar.add_task("", total=state.total_steps, run=state.name, figures="")
            self._bar.start()

    def measured(self, metrics: StepMetrics, total_steps: int) -> None:
        """Move on."""
        self._shown |= {key: metrics.values[key] for key in ("loss", "eval_loss") if key in metrics.values}
        if self._first_step < 0:
            self._first_step = metrics.step
        if self._bar is not None:
            task = self._bar.task_ids[0]
            self._bar.update(task, completed=metrics.step, total=total_steps, figures=self._figures())
            return
        now = time.monotonic()
        if now - self._told >= _LINE_EVERY_S or metrics.step == total_steps or "eval_loss" in metrics.values:
            self._told = now
            self._console.print(self._line(metrics.step, total_steps), highlight=False)

    def ended(self, state: RunState) -> None:
        """Take the bar away."""
        if self._bar is not None:
            self._bar.stop()
            self._bar = None

    def _figures(self) -> str:
        names = {"loss": "loss", "eval_loss": "held out"}
        return "  ".join(f"{names[key]} {value:.3f}" for key, value in self._shown.items())

    def _line(self, step: int, total: int) -> str:
        done = step - self._first_step
        left = (time.monotonic() - self._began) / done * (total - step) if done > 0 else None
        return f"step {step} of {total}  {self._figures()}" + (f"  {left / 60:.0f} min left" if left else "")
