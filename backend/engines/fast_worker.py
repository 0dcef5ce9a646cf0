"""The process in which the fast engine's models run: OpenVINO GenAI, one continuous batch per candidate.

A process of its own, because a step of OpenVINO GenAI holds Python's lock for its whole length, and because a
crash of native code is then the failure of these columns alone. It knows token ids and nothing else: no texts, no
tokenizer, no torch. It ends when the backend's end of the connection closes, however that came about.
"""

import contextlib
import importlib
import os
from collections.abc import Iterable
from dataclasses import dataclass, field
from multiprocessing.connection import Connection
from typing import Any

#: Prompts are read in stretches of so many tokens, so that a long one does not hold up those who write.
_TOKENS_A_STEP = 512
#: Tokens to a block of OpenVINO's key-value cache on a CPU.
_BLOCK = 32
#: What makes a row's sums the same however many rows there are; it takes all three. The weights stay at 8 bits.
_EXACT = {"INFERENCE_PRECISION_HINT": "f32", "KV_CACHE_PRECISION": "f32", "DYNAMIC_QUANTIZATION_GROUP_SIZE": "0"}


@dataclass(frozen=True, slots=True)
class Lane:
    """One candidate's model: where its exported form lies, and how much it may hold in memory.

    Attributes:
        context: the longest prompt and answer together, in tokens.
        rows: answers that are written together; more wait.
        is_exact: compute so that an answer does not depend on what is written beside it: slower, and with four times
            the cache.
    """

    key: str
    folder: str
    context: int
    rows: int
    is_exact: bool = False


@dataclass(frozen=True, slots=True)
class Setup:
    """What the process needs to begin."""

    lanes: tuple[Lane, ...]
    threads: int
    keeps_prefixes: bool


@dataclass(frozen=True, slots=True)
class Ask:
    """A prompt to go on from. `score` instead asks how likely each of its own tokens is."""

    id: int
    key: str
    prompt: list[int]
    ends: tuple[int, ...] = ()
    limit: int = 1
    temperature: float = 0.0
    top_p: float = 1.0
    repetition_penalty: float = 1.0
    seed: int = 0
    score: bool = False


@dataclass(frozen=True, slots=True)
class Cancel:
    """Nobody wants it any more."""

    id: int


@dataclass(frozen=True, slots=True)
class Ready:
    """All lanes are loaded.

    `problems`: key → why one is not; `mib`: key → what its loading added to the process: weights, and the cache for
    all the rows that it may write at once.
    """

    problems: dict[str, str]
    mib: dict[str, float]


@dataclass(frozen=True, slots=True)
class News:
    """What one step brought: id → new tokens; ids that have ended; id → log-probabilities; ids that failed."""

    tokens: dict[int, list[int]] = field(default_factory=dict)
    ended: list[int] = field(default_factory=list)
    scores: dict[int, list[float]] = field(default_factory=dict)
    failed: dict[int, str] = field(default_factory=dict)


def main(connection: Connection, setup: Setup) -> None:
    """Load, tell that it is ready, and work until the connection closes."""
    try:
        _Worker(connection, setup).run()
    except (EOFError, BrokenPipeError, KeyboardInterrupt):
        return


class _Worker:
    def __init__(self, connection: Connection, setup: Setup) -> None:
        self._connection = connection
        self._lanes: dict[str, Any] = {}
        self._handles: dict[int, tuple[str, Any, bool]] = {}
        problems, mib = {}, {}
        with contextlib.suppress(ImportError):  # told of each lane below
            importlib.import_module("openvino_genai")  # its own memory is not the first lane's
        for lane in setup.lanes:
            before = _resident_mib()
            try:
                self._lanes[lane.key] = _load(lane, setup)
            except Exception as error:  # one lane that cannot be loaded must not take the others down
                problems[lane.key] = f"{type(error).__name__}: {_first_line(error)}"
            mib[lane.key] = max(0.0, _resident_mib() - before)
        self._connection.send(Ready(problems, mib))

    def run(self) -> None:
        """One step of every lane that has work, then what came meanwhile; sleeps when there is nothing to do."""
        while True:
            while not self._handles or self._connection.poll():
                message = self._connection.recv()
                if message is None:
                    return
                self._take(message)
            for key in list(self._lanes):
                self._step(key)

    def _take(self, message: Any) -> None:
        if isinstance(message, Cancel):
            _, handle, _ = self._handles.pop(message.id, ("", None, False))
            if handle is not None:
                handle.cancel()
            return
        try:
            handle = self._lanes[message.key].add_request(message.id, _tensor(message.prompt), _config(message))
        except Exception as error:  # a prompt that the library refuses is that job's failure alone
            self._connection.send(News(failed={message.id: f"{type(error).__name__}: {_first_line(error)}"}))
            return
        self._handles[message.id] = (message.key, handle, message.score)

    def _step(self, key: str) -> None:
        lane = self._lanes[key]
        mine = [(id_, handle, score) for id_, (owner, handle, score) in self._handles.items() if owner == key]
        if not mine:
            if lane.has_non_finished_requests():  # what was cancelled leaves at the next step
                lane.step()
            return
        try:
            lane.step()
            news = _news(mine)
        except Exception as error:  # told to those whom it concerns; the other lanes go on
            for _, handle, _ in mine:
                handle.cancel()
            news = News(failed={id_: f"{type(error).__name__}: {_first_line(error)}" for id_, _, _ in mine})
        for id_ in (*news.ended, *news.failed):
            del self._handles[id_]
        if news.tokens or news.ended or news.failed:
            self._connection.send(news)


def _news(handles: Iterable[tuple[int, Any, bool]]) -> News:
    from openvino_genai import GenerationStatus  # type: ignore[import-untyped,unused-ignore]  # as in _load

    news = News()
    for id_, handle, score in handles:
        is_ended = handle.get_status() != GenerationStatus.RUNNING
        if score:
            if is_ended:
                news.scores[id_] = list(handle.read_all()[0].generated_log_probs)
        elif handle.can_read():
            output = next(iter(handle.read().values()))
            news.tokens[id_] = list(output.generated_ids)
        if is_ended:
            news.ended.append(id_)
    return news


def _load(lane: Lane, setup: Setup) -> Any:
    import openvino_genai  # type: ignore[import-untyped,unused-ignore]  # it has stubs for half of itself

    scheduler = openvino_genai.SchedulerConfig()
    scheduler.max_num_seqs = lane.rows
    scheduler.max_num_batched_tokens = _TOKENS_A_STEP
    scheduler.num_kv_blocks = lane.rows * -(-lane.context // _BLOCK)
    scheduler.enable_prefix_caching = setup.keeps_prefixes
    properties = {"INFERENCE_NUM_THREADS": setup.threads, **(_EXACT if lane.is_exact else {})}
    lane_pipeline = openvino_genai.ContinuousBatchingPipeline(lane.folder, scheduler, "CPU", properties)
    handle = lane_pipeline.add_request(0, _tensor([1, 2, 3]), _config(Ask(0, lane.key, [], limit=2)))
    while lane_pipeline.has_non_finished_requests():  # the first pass is always slow
        lane_pipeline.step()
    handle.read_all()
    return lane_pipeline


def _tensor(ids: list[int]) -> Any:
    import numpy as np
    import openvino  # type: ignore[import-untyped,unused-ignore]  # as in _load

    return openvino.Tensor(np.array([ids], dtype=np.int64))


def _config(ask: Ask) -> Any:
    import openvino_genai  # type: ignore[import-untyped,unused-ignore]  # it has stubs for half of itself

    config = openvino_genai.GenerationConfig()
    config.apply_chat_template = False
    config.max_new_tokens = ask.limit
    config.repetition_penalty = ask.repetition_penalty
    if ask.score:
        config.echo, config.logprobs = True, 1
    ends = ask.ends or (0,)  # an export has no tokenizer from which the library could take one
    config.ignore_eos = not ask.ends
    config.eos_token_id, config.stop_token_ids = ends[0], set(ends)
    config.do_sample = ask.temperature > 0
    if config.do_sample:
        config.temperature, config.top_p, config.rng_seed = ask.temperature, ask.top_p, ask.seed
    return config


def _resident_mib() -> float:
    """Return what the process holds in memory (Linux; elsewhere 0, and nothing is told)."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123  # a pseudo-file
            return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20
    except OSError:
        return 0.0


def _first_line(error: BaseException) -> str:
    return str(error).strip().splitlines()[0][:300] if str(error).strip() else ""
