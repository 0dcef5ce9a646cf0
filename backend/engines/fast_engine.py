"""The fast engine for processors: OpenVINO GenAI on exported, merged weights, all candidates in one worker process.

Here prompts become tokens and tokens become text; `backend.engines.fast_worker` only ever sees token ids. It batches
continuously: a newcomer joins at the next step and waits for nobody. Why this library: docs/decisions/fast-engine.md.
"""

import asyncio
import contextlib
import importlib.util
import secrets
import threading
import time
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from backend.engines.base import Cut, EngineFailure, EngineInfo, Finished, Job
from backend.engines.detokenizer import Detokenizer
from backend.engines.fast_client import Worker
from backend.engines.fast_worker import Ask, Lane, Setup
from backend.engines.threads import processor_threads, wait_politely
from backend.logs import log
from backend.settings import Settings
from replybench.errors import Busy, ConfigError, ReplybenchError, Unavailable
from replybench.lineups import Candidate
from replybench.prompts import clean_answer


def is_installed() -> bool:
    """Whether the library is there; not every system has a wheel of it."""
    return importlib.util.find_spec("openvino_genai") is not None


class FastEngine:
    """One for all fast candidates of a lineup."""

    def __init__(self, candidates: Sequence[Candidate], settings: Settings, *, keeps_prefixes: bool = True) -> None:
        """`keeps_prefixes`: prompts that begin alike are read once; a measurement of first tokens turns it off."""
        for candidate in candidates:
            check_settings(candidate)
        self._candidates = list(candidates)
        self._settings = settings
        self._keeps_prefixes = keeps_prefixes
        self._writers: dict[str, Any] = {}
        self._refused: dict[str, str] = {}
        self._worker: Worker | None = None
        self._doing = ""

    async def start(self) -> None:
        """Export what is not exported yet, start the worker process, load and warm up."""
        await asyncio.to_thread(self._load)

    async def stream(self, job: Job) -> AsyncGenerator[str | Finished, None]:
        """Hand the prompt over, and yield text as its tokens come."""
        worker = self._worker
        if worker is None:
            raise Unavailable("The fast engine is not loaded.")
        if worker.unfinished >= self._settings.max_waiting:
            raise Busy("Too many tickets are waiting for this model. Ask again in a moment.")
        if job.candidate.key in self._refused:
            raise EngineFailure(self._refused[job.candidate.key], reason="not_loaded")
        writer = self._writers[job.candidate.key]
        ask, was_cut = await asyncio.to_thread(writer.ask, job, worker.next_id())
        loop = asyncio.get_running_loop()
        items: asyncio.Queue[Any] = asyncio.Queue()

        def emit(item: Any) -> None:
            with contextlib.suppress(RuntimeError):  # the loop has been closed: nobody reads any more
                loop.call_soon_threadsafe(items.put_nowait, item)

        worker.send(ask, emit)
        text = _Text(writer.tokenizer, job.markers, writer.ends, ask.limit)
        try:
            while not text.reason:
                item = await items.get()
                if isinstance(item, ReplybenchError):
                    raise item
                if piece := text.add(item):
                    yield piece
            cut: list[Cut] = ["prompt"] if was_cut else []
            if text.reason == "length":
                cut.append("output")
            yield Finished(text.reason, len(ask.prompt), text.tokens, tuple(cut))
        finally:
            worker.forget(ask.id)

    def describe(self) -> EngineInfo:
        """Return what is loaded; each candidate's weights are its own, so there is no base to share."""
        worker = self._worker
        return EngineInfo(
            title="OpenVINO GenAI",
            device="cpu" if worker else "not loaded",
            memory_mib=sum(worker.mib.values()) if worker else None,
            adapters=dict(worker.mib) if worker else {},
            candidates=tuple(candidate.key for candidate in self._candidates),
            waiting=worker.unfinished if worker else 0,
            doing=self._doing,
        )

    async def close(self) -> None:
        """End the worker process."""
        worker, self._worker = self._worker, None
        if worker:
            await asyncio.to_thread(worker.close)

    def _load(self) -> None:
        wait_politely()
        began = time.monotonic()
        lanes = self._lanes()
        if not lanes:
            raise ConfigError(" ".join(self._refused.values()))
        self._tell("Loading exported models")
        worker = Worker(Setup(lanes, processor_threads(self._settings.threads), self._keeps_prefixes))
        worker.start()
        for key, why in worker.problems.items():
            self._refuse(key, f"The export of '{key}' could not be loaded ({why}). Delete it from the cache.")
        self._worker = worker
        self._doing = ""
        took = round(time.monotonic() - began, 1)
        log().info("model_ready", base="OpenVINO GenAI", took_s=took, memory_mib=round(sum(worker.mib.values())))

    def _lanes(self) -> tuple[Lane, ...]:
        """Make what is not exported yet; return what the worker is to load."""
        from backend.engines.export import ExportProcess, ensure_exported

        lanes = []
        with ExportProcess(self._settings.threads) as process:
            for candidate in self._candidates:
                try:
                    exported = ensure_exported(candidate, self._settings.model_cache_dir, self._tell, process)
                except ConfigError as error:  # the other candidates can be served none the less
                    self._refuse(candidate.key, error.message)
                    continue
                self._writers[candidate.key] = Writer(candidate, exported.tokenizer, exported.context)
                longest = min(exported.context, candidate.max_prompt_tokens + candidate.generation.max_new_tokens)
                is_exact = candidate.dtype == "float32"
                lanes.append(
                    Lane(candidate.key, str(exported.folder), longest, self._settings.max_batch_rows, is_exact)
                )
        return tuple(lanes)

    def _tell(self, line: str) -> None:
        self._doing = line
        log().info("model_loading", progress=line)

    def _refuse(self, key: str, why: str) -> None:
        self._refused[key] = why
        log().error("candidate_not_served", candidate=key, why=why)


def check_settings(candidate: Candidate) -> None:
    """Raise ConfigError for a setting that this engine would have to ignore."""
    if candidate.generation.no_repeat_ngram_size:
        raise ConfigError(
            f"candidate '{candidate.key}': the fast engine does not know 'no_repeat_ngram_size'. "
            "Use 'repetition_penalty', or set engine = \"transformers\"."
        )
    if candidate.quantisation != "none":
        raise ConfigError(
            f"candidate '{candidate.key}': the fast engine has its own precision (8 bits). Leave 'quantisation' out."
        )
    if candidate.dtype not in {"auto", "float32"}:
        raise ConfigError(
            f"candidate '{candidate.key}': the fast engine computes as the processor does best. Leave 'dtype' out, or "
            'set "float32" for answers that do not depend on what is written beside them.'
        )


class Writer:
    """Turns jobs of one candidate into prompts."""

    def __init__(self, candidate: Candidate, tokenizer: Any, context: int) -> None:
        """`context`: how many tokens the base reads and writes in all."""
        from backend.engines.prompt_tokens import PromptEncoder

        self.tokenizer = tokenizer
        self.ends = frozenset({tokenizer.eos_token_id})
        self._context = context
        self._encoder = PromptEncoder(tokenizer)
        self._encoder.check(candidate.prompt, candidate.key)
        self._encoding = threading.Lock()  # fast tokenizers refuse to be used by two threads at once

    def ask(self, job: Job, id_: int) -> tuple[Ask, bool]:
        """Return what the worker is to be asked, and whether the ticket was cut."""
        settings = job.settings
        limit = min(settings.max_new_tokens, self._context // 2)
        with self._encoding:
            prompt = self._encoder.encode(job, min(job.candidate.max_prompt_tokens, self._context - limit))
        ask = Ask(
            id=id_,
            key=job.candidate.key,
            prompt=prompt.ids,
            ends=tuple(sorted(self.ends)),
            limit=limit,
            temperature=settings.temperature,
            top_p=settings.top_p,
            repetition_penalty=settings.repetition_penalty,
            seed=settings.seed if settings.seed is not None else secrets.randbits(63),
        )
        return ask, prompt.was_cut


class _Text:
    """What one job has written so far."""

    def __init__(self, tokenizer: Any, markers: Sequence[str], ends: frozenset[int], limit: int) -> None:
        self.reason: Any = None
        self.tokens = 0
        self._limit = limit
        self._ends = ends
        self._markers = tuple(markers)
        self._look_back = max(map(len, self._markers), default=0)
        self._tail = ""
        self._text = Detokenizer(tokenizer)

    def add(self, tokens: list[int] | None) -> str:
        """Return the text that the tokens complete; None means that the worker has no more."""
        pieces = []
        for token in tokens or ():
            if token in self._ends:
                self.reason = "stop"
                break
            self.tokens += 1
            piece = self._text.add(token)
            pieces.append(piece)
            seen = self._tail + piece
            self._tail = seen[-self._look_back :] if self._look_back else ""
            if self._markers and clean_answer(seen, self._markers)[1]:
                self.reason = "stop"
                break
        if self.reason is None and (tokens is None or self.tokens >= self._limit):
            self.reason = "length" if self.tokens >= self._limit else "stop"
        if self.reason:
            pieces.append(self._text.rest())
        return "".join(pieces)
