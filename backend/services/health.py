"""The truth about readiness: the database answers, and every engine of the lineup has started."""

from backend.services.suggestions import Desk
from db import queries
from db.session import session_scope
from replybench.contract import Health
from replybench.errors import ReplybenchError


def readiness(desk: Desk) -> Health:
    """Return what works and what does not."""
    checks = {"database": _database(desk), **desk.roster.problems}
    for engine in desk.roster.engines:
        title = engine.describe().title
        checks[title] = desk.roster.problems.get(title, "ok" if desk.roster.is_started else "loading")
    if any(value not in {"ok", "loading"} for value in checks.values()):
        return Health(status="failing", checks=checks)
    return Health(status="starting" if "loading" in checks.values() else "ok", checks=checks)


def _database(desk: Desk) -> str:
    try:
        with session_scope(desk.database) as session:
            queries.ping(session)
    except ReplybenchError as error:
        return error.message
    except Exception:  # a missing table, a pool that is used up: whatever it is, it is not ready
        return "The database does not answer as it should. Run: replybench db upgrade"
    return "ok"
