"""The fast path: the demo's three columns on the fast engine, against the transformers engine and bare libraries."""

import asyncio
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from backend.engines.base import Finished, Job
from backend.engines.pool import read_lineup
from backend.engines.threads import wait_politely
from backend.settings import Settings
from benchmarks.figures import Figure, median_ratio
from replybench.lineups import Candidate, Generation
from replybench.prompts import Turn

TOKENS = 96
ROUNDS = 5
ROOT = Path(__file__).resolve().parent.parent
TICKETS = (
    "I forgot my password, how do I get back into my campaign?",
    "My payout has not arrived. I have waited for three days now.",
    "How do I add photos to the card, and how large may they be?",
    "Somebody gave twice by mistake. Can one of the two be paid back?",
    "I cannot sign in on my phone since yesterday, the page stays white.",
)


def settings() -> Settings:
    """Return the demo's settings; no database is used."""
    return Settings(
        _env_file=None,
        database_url="postgresql://not-used",
        api_key="not-used-by-this-benchmark",
        lineup=ROOT / "lineups" / "demo.toml",
    )


def candidates(engine: str) -> list[Candidate]:
    """Return the demo's local candidates on `engine`, each answer of at most TOKENS tokens, without penalties."""
    generation = Generation(max_new_tokens=TOKENS)
    local = [candidate for candidate in read_lineup(settings()).candidates if candidate.base == "embedded"]
    return [candidate.model_copy(update={"engine": engine, "generation": generation}) for candidate in local]


async def columns(engine: Any, asked: list[Candidate], texts: list[str]) -> float:
    """Return tokens per second of all these columns at once."""

    async def one(candidate: Candidate, text: str) -> int:
        async for item in engine.stream(Job(candidate, "", (Turn("customer", text),))):
            if isinstance(item, Finished):
                return item.completion_tokens or 0
        return 0

    began = time.perf_counter()
    written = await asyncio.gather(*(one(candidate, text) for text in texts for candidate in asked))
    return sum(written) / (time.perf_counter() - began)


def run() -> list[Figure]:
    """Measure in turn, a ticket a round."""
    wait_politely()
    return asyncio.run(_run())


async def _run() -> list[Figure]:
    from backend.engines.export import read_report
    from backend.engines.fast_engine import FastEngine
    from backend.engines.transformers_engine import TransformersEngine

    fast_ones, slow_ones = candidates("fast"), candidates("transformers")
    # Without the prefix cache: a ticket that is asked again would find its prompt read already.
    fast = FastEngine(fast_ones, settings(), keeps_prefixes=False)
    slow = TransformersEngine(slow_ones, settings())
    await fast.start()
    await slow.start()
    openvino = await asyncio.to_thread(_OpenVino, fast_ones)
    llama = await asyncio.to_thread(_LlamaCpp, fast_ones)
    rates: dict[str, list[float]] = {"fast": [], "transformers": [], "openvino": [], "llama_cpp": []}
    for ticket in TICKETS[:ROUNDS]:
        rates["fast"].append(await columns(fast, fast_ones, [ticket]))
        rates["transformers"].append(await columns(slow, slow_ones, [ticket]))
        rates["openvino"].append(await asyncio.to_thread(openvino.columns, ticket))
        rates["llama_cpp"].append(await asyncio.to_thread(llama.columns, ticket))
    await fast.close()
    await slow.close()
    detail = {f"{name}_tokens_per_s": statistics.median(values) for name, values in rates.items()}
    best = max(("openvino", "llama_cpp"), key=lambda name: statistics.median(rates[name]))
    figures = [
        Figure("three columns: fast engine / transformers engine", median_ratio(rates["fast"], rates["transformers"]),
               2.0, detail),
        Figure("three columns: fast engine / the best library called directly on the same weights (8 bits)",
               median_ratio(rates["fast"], rates[best]), 0.8, {"best": best}),
    ]  # fmt: skip
    for candidate in fast_ones:
        report = read_report(candidate, settings().model_cache_dir)
        if report:
            figures.append(
                Figure(
                    f"held-out loss of '{candidate.key}': export / transformers in float32",
                    report.fast_loss / report.reference_loss,
                    1.01,
                    {"tokens": report.target_tokens, "texts": report.texts},
                    better="lower",
                )
            )
    return figures


class _OpenVino:
    """The library as its own documents show it: a pipeline per model, `generate`, one after another."""

    def __init__(self, asked: list[Candidate]) -> None:
        import openvino_genai  # type: ignore[import-untyped,unused-ignore]  # it has stubs for half of itself

        self._pipelines = []
        for candidate, writer, folder in _exports(asked):
            scheduler = openvino_genai.SchedulerConfig()
            scheduler.enable_prefix_caching = False
            scheduler.num_kv_blocks = 64
            pipeline = openvino_genai.ContinuousBatchingPipeline(
                str(folder), scheduler, "CPU", {"INFERENCE_NUM_THREADS": os.cpu_count() or 1}
            )
            self._pipelines.append((candidate, pipeline, writer))

    def columns(self, text: str) -> float:
        """Return tokens per second of the three answers."""
        from backend.engines.fast_worker import _config, _tensor

        asks = [w.ask(Job(c, "", (Turn("customer", text),)), 0)[0] for c, _, w in self._pipelines]
        began, written = time.perf_counter(), 0
        for ask, (_, pipeline, _) in zip(asks, self._pipelines, strict=True):
            result = pipeline.generate([_tensor(ask.prompt)], [_config(ask)])
            written += len(result[0].m_generation_ids[0])
        return written / (time.perf_counter() - began)


class _LlamaCpp:
    """llama.cpp's own server, one per model, asked one after another; the same weights, the same groups of 8 bits."""

    def __init__(self, asked: list[Candidate]) -> None:
        import xllamacpp  # type: ignore[import-untyped]  # ships no types

        from backend.engines.export import _load
        from backend.engines.gguf_file import write_gguf

        self._folder = tempfile.TemporaryDirectory(prefix="replybench-bench-")
        self._servers = []
        for candidate, writer, _ in _exports(asked):
            model, _tokenizer = _load(candidate, settings().model_cache_dir, print)
            path = Path(self._folder.name) / f"{candidate.key}.gguf"
            write_gguf(model.merge_and_unload() if candidate.adapter else model, path)
            del model
            options = xllamacpp.CommonParams()
            options.model.path, options.n_ctx, options.n_parallel, options.verbosity = str(path), 1024, 1, 0
            options.cpuparams.n_threads = options.cpuparams_batch.n_threads = os.cpu_count() or 1
            self._servers.append((candidate, xllamacpp.Server(options), writer))

    def columns(self, text: str) -> float:
        """Return tokens per second of the three answers."""
        asks = [w.ask(Job(c, "", (Turn("customer", text),)), 0)[0] for c, _, w in self._servers]
        began, written = time.perf_counter(), 0
        for ask, (_, server, _) in zip(asks, self._servers, strict=True):
            wanted = {"prompt": ask.prompt, "max_tokens": ask.limit, "temperature": 0, "cache_prompt": False}
            answer = server.handle_completions(wanted)
            written += answer["usage"]["completion_tokens"]
        return written / (time.perf_counter() - began)


def _exports(asked: list[Candidate]) -> Iterator[tuple[Candidate, Any, Path]]:
    from backend.engines.export import ensure_exported
    from backend.engines.fast_engine import Writer

    for candidate in asked:
        exported = ensure_exported(candidate, settings().model_cache_dir, print)
        yield candidate, Writer(candidate, exported.tokenizer, exported.context), exported.folder
