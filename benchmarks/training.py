"""Fine-tuning on this CPU: our recipe against a plain Trainer that pads to the sequence limit.

Both train the embedded model with the same adapter, on the same texts with the same targets, as many rows a step, once
over; each in a process of its own. Useful tokens are the rows' own, without padding. The held-out loss afterwards says
that the faster one has learnt as much.
"""

import json
import multiprocessing
import subprocess
import sys
import tempfile
import time
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from benchmarks.figures import Figure

LIMIT = 512
ROWS = 8
STEPS = 4
MODELS = Path(".replybench/models")


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


def ours(data: Path) -> dict[str, float]:
    """Train as `replybench train` does."""
    from training.finetune.recipe import parse_recipe
    from training.finetune.run import train
    from training.finetune.run_folder import run_folder
    from training.settings import TrainingSettings

    with tempfile.TemporaryDirectory() as folder:
        run = run_folder(Path(folder), "bench")
        settings = TrainingSettings(_env_file=None, database_url=None, model_cache_dir=MODELS, runs_dir=Path(folder))
        state = train(parse_recipe(document(data), "bench"), run, settings, say=lambda _: None)
        steps = [row.values for row in run.metrics() if "tokens" in row.values]
    return {
        "tokens": sum(step["tokens"] for step in steps),
        "seconds": sum(step["seconds"] for step in steps),
        "heldout_loss": state.summary["heldout_loss"],
        "peak_mib": peak_mib(),
    }


def plain(data: Path) -> dict[str, float]:
    """Train with `transformers.Trainer`, every row padded to the limit; the same rows, in the same steps."""
    from transformers import PrinterCallback, Trainer, TrainerCallback, TrainingArguments

    from training.dataset import load_prepared
    from training.finetune import models
    from training.finetune.losses import heldout_loss
    from training.finetune.plan import make_plan
    from training.finetune.recipe import parse_recipe
    from training.finetune.sft import as_dataset
    from training.finetune.texts import IGNORED, heldout_rows, training_rows
    from training.settings import TrainingSettings

    models.keep_freed_memory = lambda: None  # ours alone
    recipe = parse_recipe(document(data), "bench")
    settings = TrainingSettings(_env_file=None, database_url=None, model_cache_dir=MODELS)
    loaded = models.load_for_training(recipe, settings, lambda _: None)
    prepared = load_prepared(data)
    rows = training_rows(loaded.tokenizer, prepared, recipe.data).rows
    lengths = [len(row.input_ids) for row in rows]
    order = make_plan(lengths, recipe.batch, recipe.length, recipe.seed).order
    pad = loaded.tokenizer.pad_token_id

    def padded(row: dict[str, list[int]]) -> dict[str, list[int]]:
        missing = LIMIT - len(row["input_ids"])
        return {
            "input_ids": row["input_ids"] + [pad] * missing,
            "labels": row["labels"] + [IGNORED] * missing,
            "attention_mask": [1] * len(row["input_ids"]) + [0] * missing,
        }

    class Clock(TrainerCallback):
        seconds, began = 0.0, 0.0

        def on_step_begin(self, *_: Any, **__: Any) -> None:
            self.began = time.perf_counter()

        def on_step_end(self, *_: Any, **__: Any) -> None:
            self.seconds += time.perf_counter() - self.began

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
        dataset = as_dataset(rows, packed_to=None).select(order).map(padded)
        trainer = Trainer(model=loaded.model, args=arguments, train_dataset=dataset, callbacks=[clock])
        trainer.remove_callback(PrinterCallback)
        trainer.train()
    judged = heldout_rows(loaded.tokenizer, prepared, recipe.data).rows
    return {
        "tokens": sum(lengths[row] for row in order),
        "seconds": clock.seconds,
        "heldout_loss": heldout_loss(loaded.model, judged, pad, rows_at_once=2),
        "peak_mib": peak_mib(),
    }


def peak_mib() -> float:
    """Return the most memory that this process has had (MiB)."""
    import resource

    return max(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, psutil.Process().memory_info().rss / 2**20)


def run() -> list[Figure]:
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "data"
        prepare = ["prepare", "--in", "demo/helpdesk", "--out", str(data), "--names", "patterns"]
        code = "import sys; from replybench.cli import main; main(sys.argv[1:])"
        subprocess.run([sys.executable, "-c", code, *prepare], check=True, capture_output=True)
        fast, slow = (_alone(which, data) for which in (ours, plain))
    detail = {
        "ours_tokens_per_s": round(fast["tokens"] / fast["seconds"], 1),
        "plain_tokens_per_s": round(slow["tokens"] / slow["seconds"], 1),
        "ours_peak_mib": round(fast["peak_mib"]),
        "plain_peak_mib": round(slow["peak_mib"]),
        "ours_heldout_loss": round(fast["heldout_loss"], 4),
        "plain_heldout_loss": round(slow["heldout_loss"], 4),
    }
    speed = (fast["tokens"] / fast["seconds"]) / (slow["tokens"] / slow["seconds"])
    return [
        Figure("useful tokens per second of our recipe / of a Trainer that pads to the limit", speed, 2.0, detail),
        Figure(
            "held-out loss of our recipe / of that Trainer, after the same examples",
            fast["heldout_loss"] / slow["heldout_loss"],
            1.02,
            {},
            "lower",
        ),
    ]


def _alone(which: Any, data: Path) -> dict[str, float]:
    """Run in a process of its own, so that neither inherits the other's memory."""
    with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
        found: dict[str, float] = pool.submit(which, data).result()
    return found


if __name__ == "__main__":
    sys.stdout.write(json.dumps([figure.detail | {"ratio": figure.ratio} for figure in run()], indent=2) + "\n")
