"""Side by side is really side by side: three columns in one forward pass against one column alone."""

import statistics
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

from backend.engines.pool import read_lineup
from backend.engines.threads import wait_politely
from backend.settings import Settings
from benchmarks.figures import Figure, in_turn, median_ratio
from replybench.lineups import Candidate
from replybench.prompts import Turn, study_prompt

if TYPE_CHECKING:
    from backend.engines.local_model import LocalModel

TOKENS = 96
ROUNDS = 5
TICKET = "I forgot my password, how do I get back into my campaign?"
ROOT = Path(__file__).resolve().parent.parent


def run() -> list[Figure]:
    """Measure the demo's lineup: its two adapters and their base, in its own precision."""
    wait_politely()  # as the service does, before anything imports PyTorch
    from backend.engines.local_model import load

    settings = Settings(
        _env_file=None,
        database_url="postgresql://not-used",
        api_key="not-used-by-this-benchmark",
        lineup=ROOT / "lineups" / "demo.toml",
    )
    candidates = [c for c in read_lineup(settings).candidates if c.base == "embedded"]
    candidates = [c.model_copy(update={"engine": "transformers"}) for c in candidates]
    model = load(candidates, settings, print)
    model.ends = frozenset()  # every answer has its full length, whatever the model would say
    _timed(model, candidates)
    first: dict[str, list[float]] = {"alone": [], "three": []}

    def measured(name: str, asked: list[Candidate]) -> float:
        took, to_first = _timed(model, asked)
        first[name].append(to_first)
        return took

    times = in_turn(
        ROUNDS,
        alone=lambda: measured("alone", candidates[:1]),
        three=lambda: measured("three", candidates),
    )
    alone, three = statistics.median(times["alone"]), statistics.median(times["three"])
    return [
        Figure(
            name=f"time to three complete answers of {TOKENS} tokens / time to one adapter's answer alone",
            ratio=median_ratio(times["three"], times["alone"]),
            target=1.6,
            better="lower",
            detail={
                "alone_s": alone,
                "three_s": three,
                "alone_tokens_per_s": TOKENS / alone,
                "three_tokens_per_s": len(candidates) * TOKENS / three,
                "alone_first_token_s": statistics.median(first["alone"]),
                "three_first_token_s": statistics.median(first["three"]),
            },
        )
    ]


def _timed(model: "LocalModel", candidates: list[Candidate]) -> tuple[float, float]:
    """Return seconds to complete answers, and to the first token of the first row."""
    from backend.engines.rows import Row, WatchRows

    began = time.perf_counter()
    shown: list[float] = []
    prompt = model.tokenizer(study_prompt("", [Turn("customer", TICKET)]))["input_ids"]

    def emit(_: Any) -> None:
        shown.append(time.perf_counter() - began)

    rows = [
        Row(
            prompt=list(prompt),
            was_cut=False,
            adapter=model.adapter_name(candidate),
            limit=TOKENS,
            settings=candidate.generation,
            markers=(),
            tokenizer=model.tokenizer,
            emit=emit,
        )
        for candidate in candidates
    ]
    model.write(rows, WatchRows(rows, model.ends, lambda _: False))
    assert all(len(row.written) == TOKENS for row in rows)
    return time.perf_counter() - began, shown[0]
