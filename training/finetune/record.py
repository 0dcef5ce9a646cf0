"""Keeps run.json and the watchers up to date while a run trains, however it ends and on however many processes."""

import json
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from replybench.errors import Conflict, ReplybenchError
from training.finetune import processes
from training.finetune.callbacks import TrainingFailed, Watcher
from training.finetune.job import Job
from training.finetune.recipe import Recipe, dump_recipe
from training.finetune.run_folder import RunFolder, RunState, utc_now

#: What PyTorch says when there is no memory: on a CPU (Linux, others), and on a GPU through a library.
_NO_MEMORY = ("DefaultCPUAllocator", "not enough memory", "CUDA out of memory")
#: What a process says whose peer is gone, in gloo's words and in NCCL's.
_LOST_PEER = ("Connection closed by peer", "Connection reset by peer", "NCCL error", "ncclRemoteError")


@contextmanager
def state_kept(
    recipe: Recipe, folder: RunFolder, job: Job, checkpoint: Path | None, watchers: Sequence[Watcher]
) -> Iterator[RunState]:
    """Keep run.json and the watchers up to date while the block trains.

    Of several processes the first one writes; but what ends a run is written by the process that it happened in,
    since the others only lose a peer, and are ended by the launcher.
    """
    state = _begin(recipe, folder, job, checkpoint)
    if processes.is_first():
        folder.write_state(state)
        for watcher in watchers:
            watcher.started(state)
    processes.wait_for_all()  # from here on, a state other than "running" is this run's end
    try:
        yield state
    except BaseException as error:
        told = as_told(error, folder)
        if folder.state().status == "running":
            _end(folder, "stopped" if isinstance(error, KeyboardInterrupt) else "failed", told, error, watchers)
        if told is None or told is error:
            raise
        raise told from error
    if processes.is_first():
        state.status = "finished"
        _store(folder, state, watchers)


def _end(
    folder: RunFolder,
    status: str,
    told: ReplybenchError | None,
    error: BaseException,
    watchers: Sequence[Watcher],
) -> None:
    """Write down why the run ended, whichever process this is."""
    reason = told.message if told else type(error).__name__
    _store(folder, folder.state().model_copy(update={"status": status, "error": reason}), watchers)


def _store(folder: RunFolder, state: RunState, watchers: Sequence[Watcher]) -> None:
    state.updated_at = state.finished_at = utc_now()
    folder.write_state(state)
    for watcher in watchers:
        watcher.ended(state)


def _begin(recipe: Recipe, folder: RunFolder, job: Job, checkpoint: Path | None) -> RunState:
    """Write down what the run was asked; a resumed one keeps its beginning and forgets what it will do again."""
    if checkpoint:
        state = folder.state()
        if folder.dataset()["fingerprint"] != job.dataset["fingerprint"]:
            raise Conflict(f"{recipe.data.path} is not the data that the run '{folder.name}' was started with.")
        if processes.is_first():
            folder.forget_after(int(checkpoint.name.removeprefix("checkpoint-")))
        return state.model_copy(
            update={
                "status": "running",
                "error": None,
                "finished_at": None,
                "updated_at": utc_now(),
                "pid": os.getpid(),
            }
        )
    if processes.is_first():
        folder.write(folder.recipe_file, dump_recipe(recipe))
        folder.write(folder.dataset_file, json.dumps(job.dataset, indent=2) + "\n")
        folder.metrics_file.unlink(missing_ok=True)
    return RunState(
        name=folder.name,
        kind=recipe.kind,
        base=recipe.base,
        method=recipe.method,
        total_steps=job.steps,
        started_at=utc_now(),
        updated_at=utc_now(),
        pid=os.getpid(),
        summary={"estimate": job.estimate.summary()} if job.estimate else {},
    )


def as_told(error: BaseException, folder: RunFolder) -> ReplybenchError | None:
    """Return the error that a user is shown for `error`, or None if there is no better sentence than its own."""
    import torch

    if isinstance(error, ReplybenchError):
        return error
    text = str(error)
    if isinstance(error, torch.cuda.OutOfMemoryError | MemoryError) or any(words in text for words in _NO_MEMORY):
        return TrainingFailed(
            "There is not enough memory for this recipe here. Lower batch.rows_at_once (batch.rows keeps the result "
            "the same) or data.max_tokens, set gradient_checkpointing: true, or use method: qlora. "
            "`replybench train … --estimate` tells what a recipe needs."
        )
    if any(words in text for words in _LOST_PEER):
        reason = folder.state().error
        return TrainingFailed(
            f"Another process of this run ended: {reason}"
            if reason
            else "Another process of this run ended without a word; most often the system ended it for want of memory. "
            "Lower batch.rows_at_once, and go on with --resume."
        )
    return None
