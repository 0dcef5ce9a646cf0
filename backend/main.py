"""The application factory: settings in, a FastAPI application out. Nothing runs at import."""

import asyncio
import importlib
import importlib.util
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

from fastapi import APIRouter, Depends, FastAPI

from backend import errors, logs
from backend.dependencies import signed_in
from backend.engines.pool import make_engines, read_lineup
from backend.middleware import RequestScope
from backend.services.roster import make_roster
from backend.services.runner import Runner
from backend.services.suggestions import Desk
from backend.services.tickets import NoRedaction, Redactor
from backend.settings import Settings
from db.session import connect
from replybench import __version__

#: Modules with a `router`; all but the first need the API key. One that is not installed is left out.
_OPEN = ("backend.routes.health",)
_WITH_KEY = (
    "backend.routes.catalogue",
    "backend.routes.suggestions",
    "backend.routes.ratings",
    "backend.routes.marks",
    "backend.routes.completions",
    "backend.routes.results",
    "backend.routes.training",
)


def create_app(settings: Settings, *, redactor: Redactor | None = None) -> FastAPI:
    """Return the application; the models are loaded in the background once it starts.

    Args:
        redactor: replaces personal data before anything is stored.

    Raises:
        ConfigError: a placeholder key, or a lineup that cannot be used.
    """
    settings.check_api_key()
    logs.configure(settings.log_level)
    lineup = read_lineup(settings)
    engines = make_engines(lineup, settings)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        database = connect(settings.database_url, pool_size=20)
        roster = await asyncio.to_thread(make_roster, database, lineup, engines)
        runner = Runner(
            database,
            lease_s=settings.lease_s,
            abandon_after_s=settings.abandon_after_s,
            max_waiting=settings.max_waiting,
        )
        app.state.desk = Desk(database, roster, runner, redactor or NoRedaction())
        runner.start()
        loading = asyncio.create_task(roster.start())
        try:
            yield
        finally:
            await runner.close()
            loading.cancel()
            with suppress(asyncio.CancelledError):
                await loading
            await roster.close()
            database.dispose()

    app = FastAPI(
        title="Replybench",
        version=__version__,
        lifespan=lifespan,
        max_body_size=settings.max_body_bytes,
    )
    app.state.settings = settings
    errors.install(app)
    app.add_middleware(RequestScope)
    for name in _OPEN:
        app.include_router(_router(name))
    for name in _WITH_KEY:
        if importlib.util.find_spec(name) is not None:
            app.include_router(_router(name), dependencies=[Depends(signed_in)])
    return app


def _router(module: str) -> APIRouter:
    router: APIRouter = importlib.import_module(module).router
    return router
