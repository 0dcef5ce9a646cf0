"""`replybench demo`: everything on this machine, with one command."""

import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Annotated

import typer

from replybench.stack import (
    HOME,
    Service,
    Stack,
    Stopped,
    Supervisor,
    free_port,
    local_api_key,
    own_command,
    sole_owner,
    stop_leftovers,
    stop_on_signals,
    stream_to,
)


def command(
    backend_port: Annotated[int, typer.Option(help="Port of the backend.")] = 8000,
    console_port: Annotated[int, typer.Option(help="Port of the console.")] = 8501,
    lineup: Annotated[Path, typer.Option(help="Who answers.")] = Path("lineups/demo.toml"),
    home: Annotated[Path, typer.Option(help="Where the demo keeps its data.")] = HOME,
) -> None:
    """Start the embedded database, the backend and the console; print the address; stop all on Ctrl-C."""
    from db.embedded import embedded_postgres
    from db.migrate import upgrade
    from db.session import connect
    from replybench.embedded_model import ensure_embedded_model
    from replybench.lineups import load_lineup

    say = stream_to(sys.stdout)
    began = time.monotonic()
    stop_on_signals()
    home = home.resolve()
    try:
        with ExitStack() as stack:
            stack.enter_context(sole_owner(home))
            stop_leftovers(home, say)
            load_lineup(lineup)
            free_port(backend_port, "BACKEND_PORT")
            free_port(console_port, "CONSOLE_PORT")
            say("Checking the embedded model")
            ensure_embedded_model(home / "models", say)
            say("Starting the embedded PostgreSQL")
            database_url = os.environ.get("DATABASE_URL") or stack.enter_context(embedded_postgres(home / "postgres"))
            engine = connect(database_url)
            upgrade(engine)
            engine.dispose()
            where = Stack(
                pid=os.getpid(),
                backend_url=f"http://127.0.0.1:{backend_port}",
                console_url=f"http://127.0.0.1:{console_port}",
                database_url=database_url,
                api_key=local_api_key(home),
            )
            supervisor = Supervisor(home, _services(home, where, lineup.resolve(), backend_port, console_port), say)
            stack.enter_context(supervisor.running(where))
            say(f"\nReady in {time.monotonic() - began:.0f} s. Open {where.console_url}")
            say(f"API: {where.backend_url}/docs · ask from a terminal: .venv/bin/replybench ask '…' · stop: Ctrl-C\n")
            supervisor.watch()
    except Stopped:
        say("Stopped. The ratings are kept; the next start takes seconds.")


def _services(home: Path, where: Stack, lineup: Path, backend_port: int, console_port: int) -> list[Service]:
    environment = {"API_KEY": where.api_key, "PYTHONUNBUFFERED": "1"}
    return [
        Service(
            name="backend",
            command=own_command("serve", "--host", "127.0.0.1", "--port", str(backend_port)),
            environment={
                **environment,
                "DATABASE_URL": where.database_url,
                "LINEUP": str(lineup),
                "MODEL_CACHE_DIR": str(home / "models"),
                "PUBLIC_WORDS": '["Merripot"]',
                "OWN_DOMAINS": '["merripot.example"]',
            },
            health_url=f"{where.backend_url}/readyz",
            log=home / "logs" / "backend.log",
            patience_s=900,  # the first start exports models for the fast engine
        ),
        Service(
            name="console",
            command=own_command("console", "--host", "127.0.0.1", "--port", str(console_port)),
            environment={**environment, "BACKEND_URL": where.backend_url},
            health_url=f"{where.console_url}/_stcore/health",
            log=home / "logs" / "console.log",
        ),
    ]
