"""The truth about readiness: the database answers, and every engine of the lineup has started."""

from backend.engines.base import Engine
from backend.services.suggestions import Desk
from db import queries
from db.session import session_scope
from replybench.contract import LOADING, Health
from replybench.errors import ReplybenchError


def readiness(desk: Desk) -> Health:
    """Return what works and what does not; an engine that is on its way says what it is doing."""
    roster = desk.roster
    checks = {"database": _database(desk), **roster.problems}
    loading = False
    for name, engine in roster.named_engines:
        if name not in roster.problems:
            checks[name] = "ok" if roster.is_started else _loading(engine)
            loading = loading or not roster.is_started
    is_failing = checks["database"] != "ok" or bool(roster.problems)
    return Health(status="failing" if is_failing else "starting" if loading else "ok", checks=checks)


def _loading(engine: Engine) -> str:
    doing = engine.describe().doing
    return f"{LOADING}: {doing}" if doing else LOADING


def _database(desk: Desk) -> str:
    try:
        with session_scope(desk.database) as session:
            queries.ping(session)
    except ReplybenchError as error:
        return error.message
    except Exception:  # a missing table, a pool that is used up: whatever it is, it is not ready
        return "The database does not answer as it should. Run: replybench db upgrade"
    return "ok"
