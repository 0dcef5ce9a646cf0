"""The HTTP contract of serving: what is loaded, and changing it."""

from pydantic import BaseModel

from replybench.contract import Body


class EnginePublic(BaseModel):
    """A base in memory, or a server. `adapters`: what lies on it, with MiB; `waiting`: jobs in its queue."""

    title: str
    device: str
    memory_mib: float | None
    adapters: dict[str, float]
    candidates: list[str]
    waiting: int


class EngineList(BaseModel):
    """GET /api/engines."""

    lineup: str
    engines: list[EnginePublic]


class LineupNames(BaseModel):
    """GET /api/lineups. `names` are those of files, without .toml."""

    current: str
    names: list[str]


class LineupUse(Body):
    """POST /api/lineups/use: the file name without .toml, or null to read the current file again."""

    name: str | None = None
