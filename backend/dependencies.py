"""What routes take, typed: the desk, a session, the caller."""

import unicodedata
from collections.abc import Iterator
from typing import Annotated
from urllib.parse import unquote
from uuid import UUID

from fastapi import Depends, Header, Request
from sqlmodel import Session

from backend.security.gate import Caller, CallerDep
from backend.services.suggestions import Desk
from backend.services.switching import LineupSwitch
from backend.settings import Settings
from db import queries, queries_operations
from db.models import Rater
from db.session import POOL_SIZE, session_scope
from replybench.errors import InvalidInput, NotFound

_LONGEST_NAME = 100


def _desk(request: Request) -> Desk:
    desk: Desk = request.app.state.desk
    return desk


def _settings(request: Request) -> Settings:
    settings: Settings = request.app.state.settings
    return settings


def _switch(request: Request) -> LineupSwitch:
    switch: LineupSwitch = request.app.state.lineups
    return switch


DeskDep = Annotated[Desk, Depends(_desk)]
SwitchDep = Annotated[LineupSwitch, Depends(_switch)]
SettingsDep = Annotated[Settings, Depends(_settings)]


def _session(request: Request, desk: DeskDep) -> Iterator[Session]:
    with session_scope(desk.database) as session:
        caller: Caller | None = getattr(request.state, "caller", None)
        if caller is not None and request.method not in {"GET", "HEAD"}:
            queries_operations.set_actor(session, caller.actor)  # for the audit trail
        yield session


#: A request keeps its connection while it waits for a thread, or for another connection (its rater's), and the threads
#: may all be waiting for connections. So half are never given out like this: those serve what takes one, uses it and
#: gives it back within a thread.
_SESSIONS_AT_ONCE = POOL_SIZE // 2

#: Scope "function": the commit comes before the response is sent, so a 200 means that it is stored.
SessionDep = Annotated[Session, Depends(_session, scope="function", max_concurrency=_SESSIONS_AT_ONCE)]


def rater_name(header: str) -> str:
    """Return the name in an `X-Rater` header (percent-encoded UTF-8), tidied.

    Raises:
        InvalidInput: no name, one that is too long, or one with control characters.
    """
    name = " ".join(unicodedata.normalize("NFKC", unquote(header, errors="replace")).split())
    if not name:
        raise InvalidInput("Say who you are: send the header 'X-Rater' with a name (percent-encoded UTF-8).")
    if len(name) > _LONGEST_NAME or any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in name):
        raise InvalidInput(f"The name in 'X-Rater' must be text of at most {_LONGEST_NAME} characters.")
    return name


def _rater(desk: DeskDep, caller: CallerDep, x_rater: Annotated[str, Header()] = "") -> Rater:
    """Return the acting person; committed at once, because what follows may use another transaction."""
    name = rater_name(x_rater)
    with session_scope(desk.database) as session:
        return queries.rater(session, name, caller.name_key(name))


RaterDep = Annotated[Rater, Depends(_rater)]


def _led_session(
    desk: DeskDep, session: SessionDep, caller: CallerDep, x_rater: Annotated[str, Header()] = ""
) -> Session:
    """Return a session whose changes the audit trail puts down to the person, where the caller acts for one."""
    if x_rater:
        person = _rater(desk, caller, x_rater)
        queries_operations.set_actor(session, f"{caller.actor}, rater:{person.id}")
    return session


LedSessionDep = Annotated[Session, Depends(_led_session, scope="function")]


def _existing_suggestion(suggestion_id: UUID, desk: DeskDep) -> UUID:
    """Return the id in the address, known to exist: a stream cannot turn into a 404 once it has begun."""
    with session_scope(desk.database) as session:
        if not queries.has_suggestion(session, suggestion_id):
            raise NotFound("There is no such suggestion.")
    return suggestion_id


SuggestionIdDep = Annotated[UUID, Depends(_existing_suggestion)]
