"""The application factory: settings in, a FastAPI application out. Nothing runs at import."""

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import Depends, FastAPI

from backend import errors, logs
from backend.engines.pool import make_engines, read_lineup
from backend.engines.threads import processor_threads
from backend.middleware import RequestScope
from backend.retrieval.grounding import Librarian
from backend.routes import (
    catalogue,
    completions,
    health,
    lineups,
    marks,
    operations,
    queue,
    ratings,
    results,
    studies,
    suggestions,
    training,
)
from backend.security import headers, permissions
from backend.security.gate import signed_in
from backend.security.keys import Keyring
from backend.security.limits import Limiter
from backend.services.queue_work import QueueWork
from backend.services.redaction import Redaction
from backend.services.roster import Roster, make_roster
from backend.services.runner import Runner
from backend.services.suggestions import Desk
from backend.services.switching import LineupSwitch
from backend.services.tickets import NoRedaction, Redactor
from backend.settings import Settings
from db.session import connect
from replybench import __version__
from replybench.embeddings import Encoder
from replybench.errors import ConfigError
from replybench.redaction import Redactor as PersonalData

#: Cores that the name model may use for one text: it is small, so more would wait for each other.
_NAME_THREADS = 4
#: All but the first need an API key.
_OPEN = (health,)
_WITH_KEY = (
    catalogue,
    studies,
    queue,
    suggestions,
    ratings,
    marks,
    completions,
    operations,
    results,
    training,
    lineups,
)


def create_app(settings: Settings, *, redactor: Redactor | None = None) -> FastAPI:
    """Return the application; the models are loaded in the background once it starts.

    Args:
        redactor: replaces personal data before anything is stored; what the settings say if not given.

    Raises:
        ConfigError: a placeholder key, or a lineup that cannot be used.
    """
    settings.check_api_key()
    logs.configure(settings.log_level)
    lineup = read_lineup(settings)
    engines = make_engines(lineup, settings)
    redactor = _redactor(settings) if redactor is None else redactor
    librarian = Librarian(Encoder(settings.embedding_model) if settings.embedding_model else None)

    async def load(roster: Roster) -> None:
        try:
            await asyncio.to_thread(redactor.warm)
        except Exception as error:  # told by readiness; without redaction no ticket is taken
            logs.log().error("redaction_did_not_start", exc_info=error)
            roster.problems["redaction"] = "Personal data cannot be replaced (the log has the reason)."
        try:
            await asyncio.to_thread(librarian.warm)
        except ConfigError as error:  # told by readiness
            logs.log().error("embedding_model_did_not_start", told=error.message)
            roster.problems["embedding model"] = error.message
        await roster.start()

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = connect(settings.database_url, statement_timeout_s=settings.statement_timeout_s)
        roster = await asyncio.to_thread(make_roster, database, lineup, engines)
        runner = Runner(
            database,
            lease_s=settings.lease_s,
            abandon_after_s=settings.abandon_after_s,
            max_waiting=settings.max_waiting,
        )
        app.state.desk = Desk(database, roster, runner, redactor, librarian)
        app.state.keyring = Keyring(
            database,
            settings.api_key,
            rate_per_minute=settings.api_key_rate_per_minute,
            max_concurrent=settings.api_key_max_concurrent,
        )
        app.state.lineups = switch = LineupSwitch(app.state, settings)
        _reread_on_hangup(switch)
        runner.start()
        queue_work = QueueWork(app.state, settings.queue_at_once)
        queue_work.start()
        loading = asyncio.create_task(load(roster))
        try:
            yield
        finally:
            await queue_work.close()
            await runner.close()
            loading.cancel()
            with suppress(asyncio.CancelledError):
                await loading
            await switch.close()
            await app.state.desk.roster.close()
            if board := getattr(app.state, "results_board", None):
                board.close()
            database.dispose()

    app = FastAPI(
        title="Replybench",
        version=__version__,
        lifespan=lifespan,
    )
    app.state.settings = settings
    app.state.limiter = Limiter()
    errors.install(app)
    headers.install(app, settings.cors_origins)
    app.add_middleware(RequestScope, max_body_bytes=settings.max_body_bytes)
    for module in _OPEN:
        app.include_router(module.router)
    for module in _WITH_KEY:
        told = errors.OPENAI_RESPONSES if module is completions else errors.RESPONSES
        app.include_router(module.router, dependencies=[Depends(signed_in)], responses=told)
    paths = app.openapi()["paths"]
    permissions.check_complete([(method.upper(), path) for path, methods in paths.items() for method in methods])
    return app


def _reread_on_hangup(switch: LineupSwitch) -> None:
    """Let SIGHUP read the lineup's file again, where signals can be had (the main thread of a process)."""
    loop = asyncio.get_running_loop()
    running: set[asyncio.Task[None]] = set()

    def reread() -> None:
        task = loop.create_task(switch.use_quietly())
        running.add(task)  # the loop itself holds tasks only weakly
        task.add_done_callback(running.discard)

    # In turn: no signals on this loop (Windows), two kinds of not the main thread (tests), no SIGHUP (Windows).
    with suppress(NotImplementedError, RuntimeError, ValueError, AttributeError):
        loop.add_signal_handler(signal.SIGHUP, reread)


def _redactor(settings: Settings) -> Redactor:
    if settings.redaction == "off":
        logs.log().warning("redaction_off", told="Texts are stored as they come, personal data included.")
        return NoRedaction()
    redactor = PersonalData(
        settings.redaction,
        keep=settings.public_words,
        own_domains=settings.own_domains,
        threads=min(_NAME_THREADS, processor_threads(settings.threads)),
    )
    if redactor.notice:
        logs.log().warning("redaction_by_patterns", told=redactor.notice)
    return Redaction(redactor)
