"""Change to another lineup without stopping: load the new one beside the old, switch, let the old one finish.

Nothing is lost: who has been seated by the old lineup is answered by it. A lineup that cannot be used, or whose models
do not load, changes nothing. During a switch both are in memory.
"""

import asyncio
import re
from dataclasses import replace
from pathlib import Path
from typing import Protocol

from backend.engines.base import EngineInfo
from backend.engines.pool import make_engines, read_lineup
from backend.logs import log
from backend.services.roster import Roster, make_roster
from backend.services.suggestions import Desk
from backend.settings import Settings
from replybench.errors import Conflict, NotFound, ReplybenchError, Unavailable

_NAME = re.compile(r"^[a-z0-9][a-z0-9._-]*$")
#: A lineup counts as finished when nothing has been at work on it for so long: who has just been seated begins to
#: write within a fraction of it.
_QUIET_S = 1.0
_LOOK_S = 0.1


class Place(Protocol):
    """Where the desk is that new requests go to."""

    desk: Desk


class LineupSwitch:
    """One per process."""

    def __init__(self, place: Place, settings: Settings) -> None:
        self._place = place
        self._settings = settings
        self._switching = asyncio.Lock()
        self._retiring: set[asyncio.Task[None]] = set()

    def names(self) -> list[str]:
        """Return the names of the lineups that lie beside the current one."""
        return sorted(path.stem for path in self._settings.lineup.parent.glob("*.toml"))

    async def use(self, name: str | None = None) -> Roster:
        """Change to the lineup of this file name (without .toml), or read the current file again; return the new one.

        Raises:
            NotFound: there is none of this name beside the current one.
            ConfigError: the file cannot be used.
            Unavailable: an engine did not start; the old lineup goes on.
            Conflict: a switch is going on already.
        """
        if self._switching.locked():
            raise Conflict("The lineup is being changed just now. Try again when that is done.")
        async with self._switching:
            settings = self._settings.model_copy(update={"lineup": self._path(name)})
            roster = await self._started(settings)
            old = self._place.desk.roster
            self._place.desk = replace(self._place.desk, roster=roster)
            self._settings = settings
        log().info("lineup_in_use", lineup=roster.lineup.name, candidates=len(roster.seats))
        task = asyncio.create_task(self._retire(old))
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)
        return roster

    async def use_quietly(self) -> None:
        """Read the current file again; what is wrong with it is told in the log alone (for SIGHUP)."""
        try:
            await self.use()
        except ReplybenchError as error:
            log().error("lineup_not_changed", code=error.code, told=error.message)

    async def close(self) -> None:
        """Close lineups that were still finishing."""
        for task in list(self._retiring):
            task.cancel()
        await asyncio.gather(*self._retiring, return_exceptions=True)

    def _path(self, name: str | None) -> Path:
        if name is None:
            return self._settings.lineup
        path = self._settings.lineup.parent / f"{name}.toml"
        if not _NAME.match(name) or not path.is_file():
            raise NotFound(f"There is no such lineup. There are: {', '.join(self.names())}.")
        return path

    async def _started(self, settings: Settings) -> Roster:
        lineup = await asyncio.to_thread(read_lineup, settings)
        roster = await asyncio.to_thread(make_roster, self._place.desk.database, lineup, make_engines(lineup, settings))
        await roster.start()
        if roster.problems:
            await roster.close()
            told = " ".join(roster.problems.values())
            raise Unavailable(f"The lineup '{lineup.name}' was not taken, and the old one goes on. {told}")
        return roster

    async def _retire(self, roster: Roster) -> None:
        """Close the old lineup's engines once nothing is at work on them."""
        quiet = 0.0
        try:
            while quiet < _QUIET_S:
                await asyncio.sleep(_LOOK_S)
                is_busy = self._place.desk.runner.is_seating or roster.at_work > 0
                quiet = 0.0 if is_busy else quiet + _LOOK_S
        finally:
            await roster.close()
            log().info("lineup_retired", lineup=roster.lineup.name)


def engines(roster: Roster) -> list[EngineInfo]:
    """Return what is loaded."""
    return [engine.describe() for engine in roster.engines]
