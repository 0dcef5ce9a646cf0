"""What listens to a run: the recorder of its curves, and the rule that ends it when it learns nothing more."""

import math
import time
from collections.abc import Sequence
from typing import Any, Protocol

import psutil
from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments

from replybench.errors import ReplybenchError
from training.finetune import processes
from training.finetune.models import return_holes
from training.finetune.recipe import EarlyStop
from training.finetune.run_folder import RunFolder, RunState, StepMetrics

_MIB = 2**20
#: The trainer's own names of what it logs → ours. What is not here is not kept.
_KEPT = {
    "loss": "loss",
    "grad_norm": "grad_norm",
    "learning_rate": "learning_rate",
    "eval_loss": "eval_loss",
    "rewards/margins": "margin",
    "rewards/accuracies": "accuracy",
    "eval_rewards/margins": "eval_margin",
    "eval_rewards/accuracies": "eval_accuracy",
    "rewards/chosen": "reward_chosen",
    "rewards/rejected": "reward_rejected",
    "eval_rewards/chosen": "eval_reward_chosen",
    "eval_rewards/rejected": "eval_reward_rejected",
}


class TrainingFailed(ReplybenchError):
    """The run cannot go on; the message says why and what to change."""

    code = "training_failed"


class Watcher(Protocol):
    """Somebody who is told how a run goes (a progress bar, the database)."""

    def started(self, state: RunState) -> None:
        """The run begins, or goes on."""

    def measured(self, metrics: StepMetrics, total_steps: int) -> None:
        """A step was measured."""

    def ended(self, state: RunState) -> None:
        """The run is over; `state.status` says how."""


class Recorder(TrainerCallback):
    """Writes each step's measures to the run's folder and tells the watchers.

    Tokens per second counts the rows' own tokens (no padding) over the time of the step alone: judging and saving
    are not in it.
    """

    #: tokens_per_step[i]: tokens of step i + 1, over all processes. Set when the plan is known.
    tokens_per_step: Sequence[int] = ()

    def __init__(self, folder: RunFolder, watchers: Sequence[Watcher]) -> None:
        """`watchers` are told after the folder."""
        self.folder, self.watchers = folder, watchers
        self._began = time.perf_counter()
        self._own: dict[str, float] = {}

    def on_step_begin(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Start the clock of a step."""
        self._began = time.perf_counter()

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Stop the clock."""
        seconds = time.perf_counter() - self._began
        self._own = {"seconds": seconds, "memory_mib": memory_mib()}
        if state.global_step <= len(self.tokens_per_step):
            tokens = self.tokens_per_step[state.global_step - 1]
            self._own |= {"tokens": tokens, "tokens_per_second": tokens / seconds}

    def on_log(
        self,
        args: TrainingArguments,
        state: TrainerState,
        control: TrainerControl,
        logs: dict[str, Any] | None = None,
        **_: Any,
    ) -> None:
        """Keep what was measured; a loss that is no number ends the run."""
        values = {_KEPT[key]: float(value) for key, value in (logs or {}).items() if key in _KEPT}
        for name in ("loss", "eval_loss", "grad_norm"):
            if not math.isfinite(values.get(name, 0.0)):
                raise TrainingFailed(
                    f"The {name} of step {state.global_step} is not a number ({values[name]}). The learning rate "
                    "is most likely too high, or float16 overflowed: lower optimizer.learning_rate, or set dtype: "
                    "bfloat16."
                )
        if not values:
            return
        if "loss" in values:
            values |= self._own
        self.record(StepMetrics(step=state.global_step, values=values), state.max_steps)

    def record(self, metrics: StepMetrics, total_steps: int) -> None:
        """Write one step down, and tell the watchers; of several processes one does."""
        if not processes.is_first():
            return
        self.folder.append(metrics)
        for watcher in self.watchers:
            watcher.measured(metrics, total_steps)


class Tidy(TrainerCallback):
    """Gives back what the heap holds in holes, so that a run's memory stays what one step needs."""

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """After each step: within a few more, rows of other lengths would make the heap half as large again."""
        return_holes()

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """After judging, whose logits are the largest blocks of all."""
        return_holes()


class StopWhenFlat(TrainerCallback):
    """Ends a run whose held-out loss has flattened. Its memory is the trainer's log, which a checkpoint keeps."""

    def __init__(self, rule: EarlyStop | None) -> None:
        """`rule` None: never stop early, only judge at the end."""
        self.rule = rule
        self.stopped_at: int | None = None

    def on_step_end(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Judge and save after the last step, whatever the interval."""
        if state.global_step >= state.max_steps:
            control.should_evaluate = control.should_save = True

    def on_evaluate(self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **_: Any) -> None:
        """Look at the held-out losses so far."""
        losses = [entry["eval_loss"] for entry in state.log_history if "eval_loss" in entry]
        if self.rule and is_flat(losses, self.rule) and state.global_step < state.max_steps:
            self.stopped_at = state.global_step
            control.should_training_stop = control.should_save = True


def is_flat(losses: Sequence[float], rule: EarlyStop) -> bool:
    """Return whether none of the last `patience` losses is at least `min_gain` below the best one before them."""
    if len(losses) <= rule.patience:
        return False
    return min(losses[-rule.patience :]) > min(losses[: -rule.patience]) - rule.min_gain


def memory_mib() -> float:
    """Return the most memory that this process has had on its GPU so far, or has now on the CPU (MiB)."""
    import torch

    if torch.cuda.is_available():
        return float(torch.cuda.max_memory_allocated() / _MIB)
    return float(psutil.Process().memory_info().rss / _MIB)
