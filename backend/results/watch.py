"""Hears from PostgreSQL when a study's ratings have changed, so that an unchanged page costs the database nothing."""

import threading

import psycopg
from sqlalchemy import Engine

CHANNEL = "replybench_results"
#: How soon a thread that waits for news notices that it is to end (seconds).
_BREATH_S = 1.0
#: How long to wait before a lost connection is made anew (seconds).
_AGAIN_S = 2.0


class Watch:
    """One connection that listens, in a thread of its own.

    `mark` is what the caller remembers: as long as it returns the same number, nothing was committed that changes
    any study's results. While the connection is away it returns None: then the caller must look for itself.
    """

    def __init__(self, database: Engine) -> None:
        """Start listening to the database of this engine."""
        self._dsn = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        self._heard: int | None = None
        self._counter = 0
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="results-watch", daemon=True)
        self._thread.start()

    def mark(self) -> int | None:
        """Return a number that changes with every change of any study, or None while it cannot be known."""
        return self._heard

    def close(self) -> None:
        """End the thread and its connection."""
        self._ended.set()
        self._thread.join(timeout=5)

    def _run(self) -> None:
        while not self._ended.is_set():
            try:
                self._listen()
            except psycopg.errors.InvalidCatalogName:  # the database is gone for good
                self._ended.set()
            except psycopg.Error:
                pass
            self._heard = None
            self._ended.wait(_AGAIN_S)

    def _listen(self) -> None:
        with psycopg.connect(
            self._dsn, autocommit=True, connect_timeout=5, application_name="replybench-watch"
        ) as wire:
            wire.execute(f"LISTEN {CHANNEL}")
            self._next()  # what came while nobody listened is not known: everything may have changed
            while not self._ended.is_set():
                for _ in wire.notifies(timeout=_BREATH_S):
                    self._next()

    def _next(self) -> None:
        self._counter += 1
        self._heard = self._counter
