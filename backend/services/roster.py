"""Who can answer now: the lineup's candidates, each pinned by a snapshot in the database, with its engine."""

import asyncio
import hashlib
import json
from collections import Counter as Counts
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import sqlalchemy

from backend.engines.base import Engine
from backend.logs import log
from db import queries
from db.models import Candidate as Snapshot
from db.models import Study, now
from db.session import session_scope
from replybench.embedded_model import EMBEDDED, GGUF_SHA256
from replybench.embedded_model import NAME as EMBEDDED_NAME
from replybench.errors import InvalidInput, NotFound, ReplybenchError, Unavailable
from replybench.lineups import Candidate, Lineup
from replybench.rubric import rubric

#: What of a candidate decides what it writes, besides the columns of its snapshot.
_SETTINGS = {
    "quantisation",
    "dtype",
    "model",
    "base_url",
    "prompt",
    "system",
    "max_prompt_tokens",
    "retrieval",
    "generation",
    "script",
}


@dataclass(slots=True)
class Counter:
    """Counts who is inside."""

    count: int = 0

    @contextmanager
    def one(self) -> Iterator[None]:
        """Count one more for as long as the block lasts."""
        self.count += 1
        try:
            yield
        finally:
            self.count -= 1


@dataclass(frozen=True, slots=True)
class Seat:
    """A candidate at work. `at_work` counts what it is writing, so that a lineup retires when all is written."""

    candidate: Candidate
    snapshot: Snapshot
    engine: Engine
    at_work: Counter = field(default_factory=Counter, compare=False)


@dataclass
class Roster:
    """All seats of the lineup. `problems`: name of an engine (see `named_engines`) → why it did not start."""

    lineup: Lineup
    seats: tuple[Seat, ...]
    is_started: bool = False
    problems: dict[str, str] = field(default_factory=dict)

    @property
    def at_work(self) -> int:
        """How many answers are being written by these seats, whoever asked for them."""
        return sum(seat.at_work.count for seat in self.seats)

    @property
    def engines(self) -> list[Engine]:
        """The engines, each once."""
        return list({id(seat.engine): seat.engine for seat in self.seats}.values())

    @property
    def named_engines(self) -> list[tuple[str, Engine]]:
        """The engines by their titles; where two have the same, by the candidates that they answer for, too."""
        infos = [(engine.describe(), engine) for engine in self.engines]
        titles = Counts(info.title for info, _ in infos)
        return [
            (info.title if titles[info.title] == 1 else f"{info.title} ({', '.join(info.candidates)})", engine)
            for info, engine in infos
        ]

    def by_key(self, key: str) -> Seat:
        """Return the seat with this candidate key."""
        for seat in self.seats:
            if seat.candidate.key == key:
                return seat
        raise NotFound(f"There is no candidate '{key}' in this lineup. GET /v1/models names them.")

    def by_snapshot(self, snapshot_id: UUID) -> Seat | None:
        """Return the seat of a pinned candidate, or None if the lineup has changed since."""
        return next((seat for seat in self.seats if seat.snapshot.id == snapshot_id), None)

    def chosen(self, keys: Iterable[str] | None) -> list[Seat]:
        """Return the seats that are to answer.

        Raises:
            Unavailable: the models are still being loaded.
            InvalidInput: an unknown key, or none at all.
        """
        if not self.is_started:
            raise Unavailable("The models are still being loaded. Try again in a moment; nothing was stored.")
        if keys is None:
            return list(self.seats)
        wanted = set(keys)
        unknown = wanted - {seat.candidate.key for seat in self.seats}
        if unknown or not wanted:
            known = ", ".join(seat.candidate.key for seat in self.seats)
            raise InvalidInput(f"Name candidates of this lineup: {known}.")
        return [seat for seat in self.seats if seat.candidate.key in wanted]

    async def start(self) -> None:
        """Start all engines at once; one that does not start is told by readiness and by its answers."""

        async def one(name: str, engine: Engine) -> None:
            try:
                await engine.start()
            except ReplybenchError as error:
                self.problems[name] = error.message
                log().error("engine_did_not_start", engine=name, code=error.code)
            except Exception as error:  # whatever a model library raises must not take the others down
                self.problems[name] = f"{name} did not start ({type(error).__name__}); the log has more."
                log().error("engine_did_not_start", engine=name, exc_info=error)

        await asyncio.gather(*(one(name, engine) for name, engine in self.named_engines))
        self.is_started = True

    async def close(self) -> None:
        """Close all engines."""
        await asyncio.gather(*(engine.close() for engine in self.engines), return_exceptions=True)


def make_roster(database: sqlalchemy.Engine, lineup: Lineup, engines: dict[str, Engine]) -> Roster:
    """Pin the lineup's candidates, see that a study is open, and seat the candidates.

    Args:
        engines: candidate key → its engine.
    """
    with session_scope(database) as session:
        if queries.open_study(session) is None:
            queries.add_study_if_new(session, _first_study(lineup))
        seats = tuple(
            Seat(candidate, queries.pin_candidate(session, snapshot_of(candidate)), engines[candidate.key])
            for candidate in lineup.candidates
        )
    return Roster(lineup, seats)


def _first_study(lineup: Lineup) -> Study:
    return Study(
        name=lineup.name,
        title=lineup.title,
        description=lineup.description,
        lineup=lineup.name,
        rubric_version=rubric().version,
        weights=rubric().weights,
        opened_at=now(),
    )


def snapshot_of(candidate: Candidate) -> Snapshot:
    """Return the row that pins `candidate`; same content, same fingerprint."""
    is_embedded = candidate.base == EMBEDDED
    snapshot = Snapshot(
        fingerprint="",
        key=candidate.key,
        name=candidate.name,
        engine=candidate.engine,
        base=EMBEDDED_NAME if is_embedded else (candidate.base or candidate.model),
        revision=GGUF_SHA256 if is_embedded else candidate.revision,
        adapter=_shown_path(candidate.adapter),
        adapter_sha256=adapter_sha256(candidate.adapter),
        note=candidate.note,
        settings=candidate.model_dump(mode="json", include=_SETTINGS, exclude_defaults=True),
    )
    content = snapshot.model_dump(exclude={"id", "created_at", "fingerprint"})
    canonical = json.dumps(content, sort_keys=True, ensure_ascii=False)
    snapshot.fingerprint = hashlib.sha256(canonical.encode()).hexdigest()
    return snapshot


def _shown_path(adapter: str | None) -> str | None:
    """Return an adapter's place as people know it: from the working directory where that contains it."""
    if adapter is None or not adapter.startswith("/"):
        return adapter
    path = Path(adapter)
    return str(path.relative_to(Path.cwd())) if path.is_relative_to(Path.cwd()) else adapter


def adapter_sha256(adapter: str | None) -> str | None:
    """Return the SHA-256 over a local adapter's configuration and weights, or None for one on a hub."""
    if adapter is None or not Path(adapter).is_dir():
        return None
    digest = hashlib.sha256()
    for name in ("adapter_config.json", "adapter_model.safetensors"):
        path = Path(adapter) / name
        if path.exists():
            digest.update(path.read_bytes())
    return digest.hexdigest()
