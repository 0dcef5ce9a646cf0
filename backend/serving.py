"""Run the application under uvicorn, and stop it so that nobody is left waiting."""

import socket

import uvicorn
from fastapi import FastAPI

from backend.main import create_app
from backend.settings import Settings
from db.migrate import upgrade
from db.session import connect, session_scope
from replybench.errors import Conflict

#: Longer than clients keep an idle connection (httpx 5 s, proxies and load balancers 60 s). Who sends requests has to
#: be the one to close it: else a request that is sent at that moment fails.
_KEEP_ALIVE_S = 75


def serve(settings: Settings, host: str, port: int, *, migrate: bool) -> None:
    """Serve until a signal comes.

    Raises:
        ConfigError: a setting or the lineup is wrong.
        Conflict: the port is taken.
        Unavailable: the database cannot be reached.
    """
    app = create_app(settings)
    if migrate:
        database = connect(settings.database_url)
        with session_scope(database):  # tells in one sentence if the database is away
            upgrade(database)
        database.dispose()
    config = uvicorn.Config(
        app,
        host=host,
        port=port,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_keep_alive=_KEEP_ALIVE_S,
        timeout_graceful_shutdown=max(1, round(settings.stop_grace_s)),
    )
    with _listen(host, port) as listener:
        _Server(config, app).run(sockets=[listener])


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        raise Conflict(
            f"Cannot listen on {host}:{port} ({error.strerror}). Stop what uses it, or choose another --port."
        ) from error
    return listener


class _Server(uvicorn.Server):
    """Uvicorn waits for open streams before it ends the application; ours end as soon as their answers do.

    So the answers are ended first: whoever watches gets the news, and no stream holds the stop up.
    """

    def __init__(self, config: uvicorn.Config, app: FastAPI) -> None:
        super().__init__(config)
        self._app = app

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End unfinished answers, then stop."""
        if hasattr(self._app.state, "desk"):
            await self._app.state.desk.runner.close()
        await super().shutdown(sockets)
