"""How good an export is: its loss beside the loss of what it was made from, on texts that the model has not seen."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from queue import SimpleQueue
from typing import Any

from backend.engines.fast_client import Worker
from backend.engines.fast_worker import Ask, Lane, Setup
from replybench.errors import ConfigError, ReplybenchError
from replybench.prompts import Turn, thread_segments

#: Token ids and labels of one text; a label below zero is not a target.
Scored = tuple[Sequence[int], Sequence[int]]

PROBE_NAME = "threads of a made-up company that ship with Replybench"
_PROBE = Path(__file__).with_name("probe.jsonl")
#: So many target tokens show a difference of 1% with certainty (the same tokens are scored twice, so chance cancels).
_ENOUGH = 4_000
#: Texts that are scored together.
_ROWS = 8


def probe(tokenizer: Any) -> list[Scored]:
    """Return threads of a made-up company that no adapter has seen, for where no held-out texts are at hand."""
    scored: list[Scored] = []
    for line in _PROBE.read_text("utf-8").splitlines():
        row = json.loads(line)
        ids: list[int] = []
        labels: list[int] = []
        for segment in thread_segments(row["subject"], [Turn(role, text) for role, text in row["turns"]]):
            piece = tokenizer(segment.text, add_special_tokens=False)["input_ids"]
            ids += piece
            labels += piece if segment.is_target else [-100] * len(piece)
        scored.append((ids, labels))
    return scored


def enough(texts: Sequence[Scored]) -> list[Scored]:
    """Return the first texts, as many as are needed to tell a difference of 1%.

    Raises:
        ConfigError: there is nothing in them to score.
    """
    chosen, targets = [], 0
    for ids, labels in texts:
        if targets >= _ENOUGH:
            break
        if count := sum(label >= 0 for label in labels[1:]):  # the first token is never predicted
            chosen.append((ids, labels))
            targets += count
    if not chosen:
        raise ConfigError("There is no held-out text to compare the export on.")
    return chosen


def reference_loss(model: Any, texts: Sequence[Scored]) -> tuple[float, int]:
    """Return (mean loss per target token, number of target tokens)."""
    import torch

    total, count = 0.0, 0
    with torch.inference_mode():
        for ids, labels in texts:
            tokens = torch.tensor([list(ids)])
            likely = model(tokens).logits[0, :-1].log_softmax(-1).gather(-1, tokens[0, 1:, None])[:, 0]
            wanted = torch.tensor([label >= 0 for label in labels[1:]])
            total -= float(likely[wanted].sum(dtype=torch.float64))
            count += int(wanted.sum())
    return total / count, count


def fast_loss(key: str, folder: Path, texts: Sequence[Scored], threads: int) -> float:
    """Return the mean loss per target token, as the engine itself computes it in its process.

    Raises:
        ConfigError: it cannot load the export, or breaks over a text.
    """
    longest = max(len(ids) for ids, _ in texts) + 1
    lane = Lane(key, str(folder), longest, min(_ROWS, len(texts)))
    total, count = 0.0, 0
    with _working(Setup((lane,), threads, keeps_prefixes=False)) as worker:
        answers: list[tuple[SimpleQueue[Any], Sequence[int]]] = []
        for ids, labels in texts:
            items: SimpleQueue[Any] = SimpleQueue()
            worker.send(Ask(worker.next_id(), key, list(ids), score=True), items.put)
            answers.append((items, labels))
        for items, labels in answers:
            likely = items.get()
            if isinstance(likely, ReplybenchError):
                raise ConfigError(f"OpenVINO cannot score with the export of '{key}': {likely.message}") from likely
            # The first token has no prediction, and after the last one comes one that was written.
            for label, value in zip(labels[1:], likely[1 : len(labels)], strict=True):
                if label >= 0:
                    total, count = total - value, count + 1
    return total / count


@contextmanager
def _working(setup: Setup) -> Iterator[Worker]:
    worker = Worker(setup)
    worker.start()
    try:
        if worker.problems:
            raise ConfigError(f"OpenVINO cannot load the export: {'; '.join(worker.problems.values())}")
        yield worker
    finally:
        worker.close()
