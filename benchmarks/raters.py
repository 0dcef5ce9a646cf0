"""Fifty raters scoring at once through the API, against one alone; nothing lost, nothing doubled.

Each rater works through the same tickets, thinks about a second per answer (far less than people do), and sends some
ratings twice, as a client does that did not hear the first reply. At the end the database is compared with what was
acknowledged.
"""

import asyncio
import random
import secrets
import socket
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import quote
from uuid import UUID

import httpx
from sqlalchemy import text

from benchmarks.figures import Figure
from db.embedded import embedded_postgres
from db.migrate import upgrade
from db.session import connect
from replybench.rubric import rubric
from replybench.stack import Service, own_command

RATERS = 50
SECONDS = 120.0
SECONDS_ALONE = 30.0
TICKETS = 60
THINKING_S = 1.0
SENT_TWICE = 0.05

_LINEUP = """
name = "raters"
title = "For the benchmark of raters"
""" + "".join(
    f"""
[[candidates]]
key = "script-{number}"
name = "Script {number}"
engine = "scripted"
script = 'text = "Answer number {number}."'
"""
    for number in range(3)
)

Scores = dict[str, int]


@dataclass
class Tally:
    """What the raters did: acknowledged scores by (rater, answer), and how long each storing took (seconds)."""

    stored: dict[tuple[str, UUID], Scores] = field(default_factory=dict)
    took: list[float] = field(default_factory=list)

    def at(self, share: float) -> float:
        """Return the latency that `share` of the ratings stayed within, in milliseconds."""
        return sorted(self.took)[min(len(self.took) - 1, int(share * len(self.took)))] * 1000


def run() -> list[Figure]:
    """Measure one rater, then fifty; compare the database with what was acknowledged.

    Raises:
        AssertionError: a rating is missing, is there twice, or is not what was sent last.
    """
    with _backend() as (url, key, database_url):
        tickets = asyncio.run(_tickets(url, key))
        alone = asyncio.run(_crowd(url, key, tickets, ["Alone"], SECONDS_ALONE))
        names = [f"Rater {number}" for number in range(RATERS)]
        crowd = asyncio.run(_crowd(url, key, tickets, names, SECONDS))
        _compare(database_url, {**alone.stored, **crowd.stored})
    detail = {
        "p95 ms, fifty": crowd.at(0.95),
        "p50 ms, fifty": crowd.at(0.5),
        "p95 ms, one": alone.at(0.95),
        "p50 ms, one": alone.at(0.5),
        "ratings stored by fifty": len(crowd.stored),
        "a second": len(crowd.took) / SECONDS,
        "lost": 0,
        "doubled": 0,
    }
    return [
        Figure("p95 of storing a rating, fifty raters / one", crowd.at(0.95) / alone.at(0.95), None, detail, "lower")
    ]


@contextmanager
def _backend() -> Iterator[tuple[str, str, str]]:
    """Yield (url, API key, database address) of a backend of its own."""
    with tempfile.TemporaryDirectory(prefix="replybench-raters-", ignore_cleanup_errors=True) as folder:
        home = Path(folder)
        (home / "lineup.toml").write_text(_LINEUP, "utf-8")
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        url, key = f"http://127.0.0.1:{port}", secrets.token_urlsafe(24)
        with embedded_postgres(home / "postgres") as database_url:
            engine = connect(database_url)
            upgrade(engine)
            engine.dispose()
            lineup = str(home / "lineup.toml")
            environment = {"API_KEY": key, "DATABASE_URL": database_url, "LINEUP": lineup, "LOG_LEVEL": "warning"}
            service = Service(
                "backend", own_command("serve", "--port", str(port)), environment, f"{url}/readyz", home / "log"
            )
            service.start()
            try:
                service.wait_until_healthy(lambda line: None)
                yield url, key, database_url
            finally:
                service.stop()


def _client(url: str, key: str, rater: str) -> httpx.AsyncClient:
    headers = {"Authorization": f"Bearer {key}", "X-Rater": quote(rater)}
    return httpx.AsyncClient(base_url=url, headers=headers, timeout=60)


async def _tickets(url: str, key: str) -> list[str]:
    """Have the tickets answered in advance; return their suggestions' ids."""
    async with _client(url, key, "Seeder") as client:
        found = []
        for number in range(TICKETS):
            asked = await client.post("/api/suggestions", json={"text": f"Question number {number}?"})
            asked.raise_for_status()
            found.append(asked.json()["id"])
        for one in found:
            await _answered(client, one)
        return found


async def _answered(client: httpx.AsyncClient, suggestion_id: str) -> None:
    async with client.stream("GET", f"/api/suggestions/{suggestion_id}/events") as events:
        async for _ in events.aiter_lines():
            pass  # the stream ends when all answers have


async def _crowd(url: str, key: str, tickets: list[str], names: list[str], seconds: float) -> Tally:
    tally = Tally()
    end = time.monotonic() + seconds
    await asyncio.gather(*(_rater(url, key, tickets, name, end, tally) for name in names))
    return tally


async def _rater(url: str, key: str, tickets: list[str], name: str, end: float, tally: Tally) -> None:
    chance = random.Random(name)  # made-up scores, the same in every run
    own = chance.sample(tickets, len(tickets))
    async with _client(url, key, name) as client:
        for one in own:
            shown = await client.get(f"/api/suggestions/{one}")
            shown.raise_for_status()
            for answer in shown.json()["answers"]:
                await asyncio.sleep(chance.expovariate(1 / THINKING_S))
                if time.monotonic() > end:
                    return
                await _rate(client, name, UUID(answer["id"]), chance, tally)


async def _rate(client: httpx.AsyncClient, name: str, answer_id: UUID, chance: random.Random, tally: Tally) -> None:
    body = {"scores": {metric: chance.randint(1, 5) for metric in rubric().keys}}
    for _ in range(2 if chance.random() < SENT_TWICE else 1):
        began = time.perf_counter()
        reply = await client.put(f"/api/answers/{answer_id}/rating", json=body)
        reply.raise_for_status()
        tally.took.append(time.perf_counter() - began)
        tally.stored[name, answer_id] = body["scores"]


def _compare(database_url: str, acknowledged: dict[tuple[str, UUID], Scores]) -> None:
    engine = connect(database_url)
    with engine.connect() as connection:
        rows = connection.execute(
            text("SELECT rater.name, rating.answer_id, rating.scores FROM rating JOIN rater ON rater.id = rater_id")
        ).all()
        changed = connection.execute(text("SELECT count(*) FROM rating_revision")).scalar_one()
    engine.dispose()
    there = {(row.name, row.answer_id): row.scores for row in rows}
    lost = acknowledged.keys() - there.keys()
    assert not lost, f"{len(lost)} acknowledged ratings are not in the database"  # what is claimed
    assert len(rows) == len(there) == len(acknowledged), "a rating is stored twice"
    assert there == acknowledged, "a rating is not what was sent"
    assert changed == 0, "a rating that was sent twice counts as a change"
