"""Fifty raters scoring at once through the API, against one alone; nothing lost, nothing doubled.

Tickets are put into a study's queue and answered in advance. Each rater takes the next one, thinks about a second per
answer (far less than people do), and sends some ratings twice, as a client does that did not hear the first reply. At
the end the database is compared with what was acknowledged, and no ticket may have more raters than were wanted.
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
TICKETS = 150
OVERLAP = 20
STUDY = "benchmark"
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

_MOST_RATERS = """
SELECT max(raters) FROM (
    SELECT count(DISTINCT r.rater_id) AS raters FROM rating r JOIN answer a ON a.id = r.answer_id
    GROUP BY a.suggestion_id
) AS each
"""

Scores = dict[str, int]


def _share(seconds: list[float], share: float) -> float:
    """Return what `share` of the times stayed within, in milliseconds."""
    return sorted(seconds)[min(len(seconds) - 1, int(share * len(seconds)))] * 1000


@dataclass
class Tally:
    """What the raters did: acknowledged scores by (rater, answer); seconds of each storing, and of each next ticket."""

    stored: dict[tuple[str, UUID], Scores] = field(default_factory=dict)
    took: list[float] = field(default_factory=list)
    waited: list[float] = field(default_factory=list)
    refused: int = 0

    def at(self, share: float) -> float:
        """Return the latency that `share` of the ratings stayed within, in milliseconds."""
        return _share(self.took, share)


def run() -> list[Figure]:
    """Measure one rater, then fifty; compare the database with what was acknowledged.

    Raises:
        AssertionError: a rating is missing, is there twice, or is not what was sent last.
    """
    with _backend() as (url, key, database_url):
        asyncio.run(_fill_queue(url, key))
        alone = asyncio.run(_crowd(url, key, ["Alone"], SECONDS_ALONE))
        names = [f"Rater {number}" for number in range(RATERS)]
        crowd = asyncio.run(_crowd(url, key, names, SECONDS))
        _compare(database_url, {**alone.stored, **crowd.stored})
    detail = {
        "p95 ms, fifty": crowd.at(0.95),
        "p50 ms, fifty": crowd.at(0.5),
        "p95 ms, one": alone.at(0.95),
        "p50 ms, one": alone.at(0.5),
        "p95 ms of the next ticket, fifty": _share(crowd.waited, 0.95),
        "ratings stored by fifty": len(crowd.stored),
        "a second": len(crowd.took) / SECONDS,
        "told to try again": crowd.refused,
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


async def _fill_queue(url: str, key: str) -> None:
    """Make a study, open it, fill its queue, and wait until all its tickets are answered."""
    async with _client(url, key, "Lead") as client:
        wanted = {"name": STUDY, "title": "Benchmark", "overlap": OVERLAP}
        (await client.post("/api/studies", json=wanted)).raise_for_status()
        (await client.patch(f"/api/studies/{STUDY}", json={"is_open": True})).raise_for_status()
        for first in range(0, TICKETS, 50):
            tickets = [{"text": f"Question number {number}?"} for number in range(first, first + 50)]
            (await client.post(f"/api/studies/{STUDY}/tickets", json={"tickets": tickets})).raise_for_status()
        while (await client.get("/api/queue")).json()["coming"]:  # noqa: ASYNC110  # it happens in another process
            await asyncio.sleep(0.5)


async def _crowd(url: str, key: str, names: list[str], seconds: float) -> Tally:
    tally = Tally()
    end = time.monotonic() + seconds
    await asyncio.gather(*(_rater(url, key, name, end, tally) for name in names))
    return tally


async def _rater(url: str, key: str, name: str, end: float, tally: Tally) -> None:
    chance = random.Random(name)  # made-up scores, the same in every run
    async with _client(url, key, name) as client:
        while time.monotonic() < end:
            began = time.perf_counter()
            given = await client.post("/api/queue/next", json={"study": STUDY})
            if given.status_code == httpx.codes.SERVICE_UNAVAILABLE:  # told to try again in a moment
                tally.refused += 1
                await asyncio.sleep(chance.uniform(0.5, 1.5))
                continue
            given.raise_for_status()
            tally.waited.append(time.perf_counter() - began)
            if given.json()["suggestion_id"] is None:
                return
            shown = await client.get(f"/api/suggestions/{given.json()['suggestion_id']}")
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
        most = connection.execute(text(_MOST_RATERS)).scalar_one()
    engine.dispose()
    there = {(row.name, row.answer_id): row.scores for row in rows}
    lost = acknowledged.keys() - there.keys()
    assert not lost, f"{len(lost)} acknowledged ratings are not in the database"  # what is claimed
    assert len(rows) == len(there) == len(acknowledged), "a rating is stored twice"
    assert there == acknowledged, "a rating is not what was sent"
    assert changed == 0, "a rating that was sent twice counts as a change"
    assert most <= OVERLAP, f"a ticket has {most} raters, and {OVERLAP} were wanted"
