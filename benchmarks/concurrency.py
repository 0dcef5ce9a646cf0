"""Eight tickets at once: 24 columns together against the same 24 one after another, and what it costs the slowest."""

import asyncio
import statistics
import time
from collections.abc import Callable
from typing import Any

from backend.engines.base import Finished, Job
from backend.engines.threads import wait_politely
from benchmarks.fast_path import TICKETS, TOKENS, candidates, settings
from benchmarks.figures import Figure, median_ratio
from replybench.lineups import Candidate
from replybench.prompts import Turn

ROUNDS = 1  # of 24 answers one after another: minutes on the transformers engine
TEXTS = [f"{text} (My order is number {number}.)" for number, text in enumerate((*TICKETS, *TICKETS[:3]), start=10)]


def run() -> list[Figure]:
    """Measure both local engines in turn."""
    wait_politely()
    return asyncio.run(_run())


async def _run() -> list[Figure]:
    from backend.engines.fast_engine import FastEngine
    from backend.engines.transformers_engine import TransformersEngine

    figures: list[Figure] = []
    makers: dict[str, Callable[[list[Candidate]], Any]] = {
        "transformers": lambda asked: TransformersEngine(asked, settings()),
        "fast": lambda asked: FastEngine(asked, settings(), keeps_prefixes=False),
    }
    for name, make in makers.items():
        asked = candidates(name)
        engine = make(asked)
        await engine.start()
        figures += await _figures(name, engine, asked)
        await engine.close()
    return figures


async def _figures(name: str, engine: Any, asked: list[Candidate]) -> list[Figure]:
    rates: dict[str, list[float]] = {"together": [], "in_turn": []}
    first: dict[str, list[float]] = {"together": [], "alone": []}
    for _ in range(ROUNDS):
        rate, firsts = await _rate(engine, [(candidate, text) for text in TEXTS for candidate in asked])
        rates["together"].append(rate)
        first["together"].append(max(firsts))
        began, written, alone = time.perf_counter(), 0, 0.0
        for text in TEXTS:
            for candidate in asked:
                tokens, to_first = await _one(engine, candidate, text)
                written, alone = written + tokens, max(alone, to_first)
        rates["in_turn"].append(written / (time.perf_counter() - began))
        first["alone"].append(alone)
    together, alone_s = statistics.median(first["together"]), statistics.median(first["alone"])
    detail = {f"{key}_tokens_per_s": statistics.median(values) for key, values in rates.items()}
    return [
        Figure(f"{name}: 24 columns together / one after another (tokens/s, {TOKENS} each)",
               median_ratio(rates["together"], rates["in_turn"]), 2.5, detail),
        Figure(f"{name}: slowest ticket's time to first token, seconds more than alone", together - alone_s, 3.0,
               {"together_s": together, "alone_s": alone_s}, better="lower"),
    ]  # fmt: skip


async def _rate(engine: Any, wanted: list[tuple[Candidate, str]]) -> tuple[float, list[float]]:
    began = time.perf_counter()
    ends = await asyncio.gather(*(_one(engine, candidate, text) for candidate, text in wanted))
    return sum(tokens for tokens, _ in ends) / (time.perf_counter() - began), [first for _, first in ends]


async def _one(engine: Any, candidate: Candidate, text: str) -> tuple[int, float]:
    """Return (tokens written, seconds to the first piece)."""
    began, first = time.perf_counter(), 0.0
    async for item in engine.stream(Job(candidate, "", (Turn("customer", text),))):
        first = first or time.perf_counter() - began
        if isinstance(item, Finished):
            return item.completion_tokens or 0, first
    return 0, first
