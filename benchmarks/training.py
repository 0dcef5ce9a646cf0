"""Fine-tuning on this CPU: our recipe against a plain Trainer that pads to the sequence limit.

Both train the embedded model with the same adapter, on the same texts with the same targets, by the same rows a step,
once over; each in a process of its own, step by step in turn, so that other work on the machine falls on both alike.
Useful tokens are the rows' own, without padding. The held-out loss afterwards says that the faster one has learnt as
much.
"""

import json
import multiprocessing
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing.synchronize import Semaphore
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, median_ratio

LIMIT = 512
ROWS = 8
STEPS = 6
MODELS = Path(".replybench/models")
#: A process that waits longer than this for its turn waits for one that died.
PATIENCE_S = 900


def document(data: Path) -> dict[str, Any]:
    """Return the recipe that both follow."""
    return {
        "name": "bench",
        "base": "embedded",
        "data": {"path": str(data), "use": ["threads"], "languages": ["en"], "max_tokens": LIMIT, "heldout_limit": 8},
        "lora": {"rank": 16, "alpha": 32, "target_modules": ["q_proj", "k_proj", "v_proj", "o_proj"]},
        "optimizer": {"learning_rate": 1e-3, "schedule": "constant", "warmup_share": 0.0},
        "batch": {"rows": ROWS, "rows_at_once": 2},
        "length": {"max_steps": STEPS},
        "evaluation": {"every_steps": STEPS, "answers": 0, "early_stop": None},
    }


class Turns:
    """Lets two trainings take their steps in turn."""

    def __init__(self, mine: Semaphore, theirs: Semaphore) -> None:
        self.mine, self.theirs = mine, theirs

    def wait(self) -> None:
        if not self.mine.acquire(timeout=PATIENCE_S):
            raise TimeoutError("the other training has ended early")

    def hand_over(self) -> None:
        self.theirs.release()


def ours(data: Path, turns: Turns) -> dict[str, Any]:
    """Train as `replybench train` does."""
    from training.finetune.callbacks import Watcher
    from training.finetune.recipe import parse_recipe
    from training.finetune.run import train
    from training.finetune.run_folder import RunState, StepMetrics, run_folder
    from training.settings import TrainingSettings

    class Between(Watcher):
        """Told after each step, and before the first."""

        def started(self, state: RunState) -> None: ...

        def measured(self, metrics: StepMetrics, total_steps: int) -> None:
            if 0 < metrics.step < total_steps:
                turns.hand_over()
            if metrics.step < total_steps:
                turns.wait()

        def ended(self, state: RunState) -> None:
            turns.hand_over()

    with tempfile.TemporaryDirectory() as folder:
        run = run_folder(Path(folder), "bench")
        settings = TrainingSettings(_env_file=None, database_url=None, model_cache_dir=MODELS, runs_dir=Path(folder))
        recipe = parse_recipe(document(data), "bench")
        state = train(recipe, run, settings, watchers=[Between()], say=lambda _: None)
        steps = [row.values for row in run.metrics() if "tokens" in row.values]
    return {
        "tokens": sum(step["tokens"] for step in steps),
        "seconds": [step["seconds"] for step in steps],
        "heldout_loss": state.summary["heldout_loss"],
        "peak_mib": peak_mib(),
    }


def plain(data: Path, turns: Turns) -> dict[str, Any]:
    """Train with `transformers.Trainer`, every row padded to the limit; the same rows, in the same steps."""
    from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

    from training.dataset import load_prepared
    from training.finetune import models
    from training.finetune.losses import heldout_loss
    from training.finetune.packing import planned
    from training.finetune.recipe import parse_recipe
    from training.finetune.texts import IGNORED, heldout_rows, training_rows
    from training.settings import TrainingSettings

    models.keep_freed_memory = lambda: None  # ours alone
    recipe = parse_recipe(document(data), "bench")
    settings = TrainingSettings(_env_file=None, database_url=None, model_cache_dir=MODELS)
    loaded = models.load_for_training(recipe, settings, lambda _: None)
    prepared = load_prepared(data)
    dataset, lengths, plan = planned(recipe, training_rows(loaded.tokenizer, prepared, recipe.data).rows)
    pad = loaded.tokenizer.pad_token_id

    def padded(row: dict[str, list[int]]) -> dict[str, list[int]]:
        missing = LIMIT - len(row["input_ids"])
        return {
            "input_ids": row["input_ids"] + [pad] * missing,
            "labels": row["labels"] + [IGNORED] * missing,
            "attention_mask": [1] * len(row["input_ids"]) + [0] * missing,
        }

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.seconds: list[float] = []
            self.began = 0.0

        def on_train_begin(self, *_: Any, **__: Any) -> None:
            turns.hand_over()  # both are ready

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            turns.wait()
            self.began = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.seconds.append(time.perf_counter() - self.began)
            turns.hand_over()

    clock = Clock()
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            max_steps=STEPS,
            per_device_train_batch_size=recipe.batch.rows_at_once,
            gradient_accumulation_steps=ROWS // recipe.batch.rows_at_once,
            learning_rate=recipe.optimizer.learning_rate,
            lr_scheduler_type="constant",
            use_cpu=True,
            disable_tqdm=True,
            report_to=[],
            save_strategy="no",
            train_sampling_strategy="sequential",
            seed=recipe.seed,
        )
        train_dataset = dataset.select(plan.order).map(padded)
        trainer = Trainer(model=loaded.model, args=arguments, train_dataset=train_dataset, callbacks=[clock])
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    judged = heldout_rows(loaded.tokenizer, prepared, recipe.data).rows
    return {
        "tokens": sum(plan.sums(lengths)),
        "seconds": clock.seconds,
        "heldout_loss": heldout_loss(loaded.model, judged, pad, rows_at_once=2),
        "peak_mib": peak_mib(),
    }


def peak_mib() -> float:
    """Return the most memory that this process has had (MiB)."""
    import resource

    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def run() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        prepare = ["prepare", "--in", "demo/helpdesk", "--out", str(data), "--names", "patterns"]
        code = "import sys; from replybench.cli import main; main(sys.argv[1:])"
        subprocess.run([sys.executable, "-c", code, *prepare], check=True, capture_output=True)
        fast, slow = _side_by_side(data)
    speeds = [side["tokens"] / sum(side["seconds"]) for side in (fast, slow)]
    detail = {
        "ours_tokens_per_s": round(speeds[0], 1),
        "plain_tokens_per_s": round(speeds[1], 1),
        "steps": STEPS,
        "ours_peak_mib": round(fast["peak_mib"]),
        "plain_peak_mib": round(slow["peak_mib"]),
        "ours_heldout_loss": round(fast["heldout_loss"], 4),
        "plain_heldout_loss": round(slow["heldout_loss"], 4),
    }
    return [
        Figure(
            "useful tokens per second of our recipe / of a Trainer that pads to the limit (median step)",
            median_ratio(slow["seconds"], fast["seconds"]),  # the same rows in each step
            2.0,
            detail,
        ),
        Figure(
            "held-out loss of our recipe / of that Trainer, after the same examples",
            fast["heldout_loss"] / slow["heldout_loss"],
            1.02,
            {},
            "lower",
        ),
        Figure("peak memory of our recipe / of that Trainer", fast["peak_mib"] / slow["peak_mib"], None, {}, "lower"),
    ]


def _side_by_side(data: Path) -> list[dict[str, Any]]:
    """Run both, each in a process of its own, so that neither inherits the other's memory."""
    # What `replybench train` sets; without it, the one that waits for its turn would spin on the other's cores.
    os.environ["OMP_WAIT_POLICY"] = "PASSIVE"
    context = multiprocessing.get_context("spawn")
    one, other = context.Semaphore(0), context.Semaphore(0)
    answers: list[Any] = [context.SimpleQueue() for _ in range(2)]
    works = [(ours, Turns(one, other)), (plain, Turns(other, one))]
    processes = [
        context.Process(target=_answer, args=(which, data, turns, answer))
        for (which, turns), answer in zip(works, answers, strict=True)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert not any(process.exitcode for process in processes), "a training has failed"
    return [answer.get() for answer in answers]


def _answer(which: Any, data: Path, turns: Turns, answer: Any) -> None:
    answer.put(which(data, turns))


if __name__ == "__main__":
    sys.stdout.write(json.dumps([figure.detail | {"ratio": figure.ratio} for figure in run()], indent=2) + "\n")
