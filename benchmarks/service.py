"""The service's own cost: three columns of a ticket through HTTP, database and streaming, against the engine itself."""

import asyncio
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import httpx

from backend.engines.base import Finished, Job
from backend.engines.pool import make_engines, read_lineup
from backend.engines.threads import wait_politely
from backend.settings import Settings
from benchmarks.fast_path import TOKENS
from benchmarks.figures import Figure, median_ratio
from db.embedded import embedded_postgres
from db.migrate import upgrade
from db.session import connect
from replybench.prompts import Turn
from tests.faults.stack import free_port

ROOT = Path(__file__).resolve().parent.parent
_KEY = "the-key-of-this-benchmark"
_START_S = 300.0


@dataclass(frozen=True, slots=True)
class Case:
    """What is measured: the engine, how many messages a ticket has, whether personal data are replaced."""

    engine: str
    rounds: int
    messages: int = 1
    redaction: Literal["auto", "off"] = "auto"

    @property
    def name(self) -> str:
        """What the figures' names begin with."""
        ticket = "one message" if self.messages == 1 else f"a thread of {self.messages} messages"
        return f"{self.engine}, {ticket}" + (", personal data left in" if self.redaction == "off" else "")


CASES = (
    Case("fast", 7),
    Case("fast", 5, redaction="off"),
    Case("fast", 5, messages=7),
    Case("fast", 5, messages=7, redaction="off"),
    Case("transformers", 6),
)


def run() -> list[Figure]:
    """Measure in turn, a ticket a round: the same lineup in a backend process, and its engines called here.

    Both have their models in memory, and one of the two is idle at any moment. The lineup is the demo's, on either
    local engine; each answer has at most TOKENS tokens, and greedy writing makes both write the same ones. The engine
    called directly gets the ticket as it is: replacing personal data is a part of what the service costs, and the
    cases without it show the part of HTTP, database and streaming.
    """
    wait_politely()
    return [figure for case in CASES for figure in _of(case)]


def _of(case: Case) -> list[Figure]:
    with tempfile.TemporaryDirectory(prefix="replybench-bench-", ignore_cleanup_errors=True) as folder:
        lineup = _shortened(Path(folder), case.engine)
        with embedded_postgres(Path(folder) / "postgres") as database_url:
            engine = connect(database_url)
            upgrade(engine)
            engine.dispose()
            settings = Settings(
                _env_file=None, database_url=database_url, api_key=_KEY, lineup=lineup, redaction=case.redaction
            )
            with _backend(settings, Path(folder)) as url:
                return asyncio.run(_measured(settings, url, case))


def _shortened(folder: Path, engine: str) -> Path:
    """Return a copy of the demo's lineup on this engine, whose answers end at TOKENS tokens."""
    text = (ROOT / "lineups" / "demo.toml").read_text("utf-8").replace("../demo/", f"{ROOT}/demo/")
    text = text.replace('engine = "fast"', f'engine = "{engine}"')
    path = folder / "demo.toml"
    path.write_text(text.replace("max_new_tokens = 160", f"max_new_tokens = {TOKENS}"), "utf-8")
    return path


@contextmanager
def _backend(settings: Settings, folder: Path) -> Iterator[str]:
    port = free_port()
    environment = {
        **{name: value for name, value in os.environ.items() if name != "OPENAI_API_KEY"},
        "DATABASE_URL": settings.database_url,
        "API_KEY": _KEY,
        "LINEUP": str(settings.lineup),
        "REDACTION": settings.redaction,
    }
    command = [sys.executable, "-c", "from replybench.cli import main; main()", "serve", "--port", str(port)]
    with (folder / "backend.log").open("wb") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            _wait(url, process)
            yield url
        finally:
            process.terminate()
            process.wait(20)


def _wait(url: str, process: "subprocess.Popen[bytes]") -> None:
    end = time.monotonic() + _START_S
    while time.monotonic() < end and process.poll() is None:
        try:
            if httpx.get(f"{url}/readyz", timeout=5, trust_env=False).status_code == 200:
                return
        except httpx.HTTPError:
            pass
        time.sleep(0.5)
    raise RuntimeError("the backend did not become ready")


async def _measured(settings: Settings, url: str, case: Case) -> list[Figure]:
    lineup = read_lineup(settings)
    engines = make_engines(lineup, settings)
    await asyncio.gather(*(engine.start() for engine in {id(e): e for e in engines.values()}.values()))
    jobs = [(engines[candidate.key], candidate) for candidate in lineup.candidates]
    through: list[tuple[float, float]] = []
    direct: list[tuple[float, float]] = []
    headers = {"Authorization": f"Bearer {_KEY}", "X-Rater": "Benchmark"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=120, trust_env=False) as client:
        for number in range(case.rounds + 1):
            turns = _turns(number, case.messages)
            served = await _served(client, turns)
            called = await _called(jobs, turns)
            if number:  # the first of each is warming up
                through.append(served)
                direct.append(called)
    for engine in {id(e): e for e in engines.values()}.values():
        await engine.close()
    firsts, totals = ([pair[i] for pair in through] for i in (0, 1))
    bare_firsts, bare_totals = ([pair[i] for pair in direct] for i in (0, 1))
    return [
        _figure(f"{case.name}: time to three complete answers, through the service / directly", totals, bare_totals),
        _figure(f"{case.name}: time to first token, through the service / directly", firsts, bare_firsts),
    ]


def _turns(number: int, messages: int) -> tuple[Turn, ...]:
    """Return a ticket of so many messages, the customer's first and last."""
    lines = (ROOT / "demo" / "example-tickets.jsonl").read_text("utf-8").splitlines()
    texts = [json.loads(lines[(number + at) % len(lines)])["text"] for at in range(messages)]
    # The number comes first, so that no ticket finds its beginning read already.
    texts[0] = f"Order {number + 10}. {texts[0]}"
    return tuple(Turn("agent" if at % 2 else "customer", text) for at, text in enumerate(texts))


def _figure(name: str, served: list[float], called: list[float]) -> Figure:
    detail = {"service_s": statistics.median(served), "direct_s": statistics.median(called), "tickets": len(served)}
    return Figure(name, median_ratio(served, called), 1.10, detail, better="lower")


async def _served(client: httpx.AsyncClient, turns: tuple[Turn, ...]) -> tuple[float, float]:
    """Return seconds from the request to the first piece of text and to the last event."""
    began, first = time.perf_counter(), 0.0
    earlier = [{"role": turn.role, "text": turn.text} for turn in turns[:-1]]
    body = {"text": turns[-1].text, "earlier": earlier, "source": "api"}
    response = await client.post("/api/suggestions", json=body)
    response.raise_for_status()
    event, done = "", 0
    async with client.stream("GET", f"/api/suggestions/{response.json()['id']}/events") as stream:
        async for line in stream.aiter_lines():
            if line.startswith("event:"):
                event = line.removeprefix("event:").strip()
                if event == "answer.delta":
                    first = first or time.perf_counter() - began
                if event == "done":
                    break
            elif line.startswith("data:") and event == "answer.done":
                done += json.loads(line.removeprefix("data:"))["answer"]["status"] == "done"
    if done != len(response.json()["answers"]):
        raise RuntimeError("not every column was answered")
    return first, time.perf_counter() - began


async def _called(jobs: list[tuple[Any, Any]], turns: tuple[Turn, ...]) -> tuple[float, float]:
    began = time.perf_counter()
    firsts: list[float] = []

    async def one(engine: Any, candidate: Any) -> None:
        is_first = True
        async for item in engine.stream(Job(candidate, "", turns)):
            if is_first and not isinstance(item, Finished):
                firsts.append(time.perf_counter() - began)
                is_first = False

    await asyncio.gather(*(one(engine, candidate) for engine, candidate in jobs))
    return min(firsts), time.perf_counter() - began
