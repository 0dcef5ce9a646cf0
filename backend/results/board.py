"""Results as they are served: computed once per version and view, and then only compared by their ETag."""

import hashlib
import threading
from collections import OrderedDict
from dataclasses import dataclass

from sqlalchemy import Engine

from backend.results import service
from backend.results.service import Query
from backend.results.watch import Watch
from db.session import session_scope
from replybench import __version__
from replybench.results_contract import ResultsPublic

#: Views kept per process; each is some ten kilobytes of JSON.
_KEPT = 64


@dataclass(frozen=True, slots=True)
class Served:
    """A view at one version. `body` is JSON."""

    etag: str
    body: bytes
    results: ResultsPublic


class Board:
    """The results of one database, for all threads of a process."""

    def __init__(self, database: Engine) -> None:
        """`database` is the engine that sessions are opened on."""
        self._database = database
        self._watch = Watch(database)
        self._last: OrderedDict[Query, tuple[int, Served]] = OrderedDict()
        self._kept: OrderedDict[str, Served] = OrderedDict()
        self._lock = threading.Lock()
        self._computing: dict[str, threading.Lock] = {}

    def serve(self, query: Query) -> Served:
        """Return the view as it is now.

        As long as PostgreSQL tells of no change, this takes nothing from the database. Viewers who ask for the same
        at once are answered by one computation.
        """
        mark = self.mark  # before looking: what is committed in between changes it
        last = self._last.get(query)
        if mark is not None and last is not None and last[0] == mark:
            return last[1]
        served = self._look(query)
        if mark is not None:
            with self._lock:
                self._last[query] = (mark, served)
                self._last.move_to_end(query)
                while len(self._last) > _KEPT:
                    self._last.popitem(last=False)
        return served

    @property
    def mark(self) -> int | None:
        """Return what changes when any study does; None while changes are not heard of (see `Watch`)."""
        return self._watch.mark()

    def close(self) -> None:
        """Stop listening for changes."""
        self._watch.close()

    def _look(self, query: Query) -> Served:
        with session_scope(self._database) as session:
            study = service.find_study(session, query.study)
            version = service.current_version(session, study)
        etag = _etag(str(study.id), version, query)
        with self._turn(etag):
            served = self._known(etag)
            if served is None:
                # A transaction of its own: what was counted is committed before the statistics take their time. If
                # somebody counts again meanwhile, this is newer than its ETag, and the next look corrects that.
                with session_scope(self._database) as session:
                    results = service.results(session, study, query, version=version)
                served = Served(etag, results.model_dump_json().encode(), results)
                self._keep(served)
        return served

    def _known(self, etag: str) -> Served | None:
        with self._lock:
            if etag in self._kept:
                self._kept.move_to_end(etag)
            return self._kept.get(etag)

    def _keep(self, served: Served) -> None:
        with self._lock:
            self._kept[served.etag] = served
            while len(self._kept) > _KEPT:
                self._kept.popitem(last=False)

    def _turn(self, etag: str) -> threading.Lock:
        with self._lock:
            if len(self._computing) > _KEPT:
                self._computing = {key: lock for key, lock in self._computing.items() if lock.locked()}
            return self._computing.setdefault(etag, threading.Lock())


def _etag(study: str, version: int, query: Query) -> str:
    seen = f"{__version__} {study} {version} {query!r}"
    return f'"{hashlib.sha256(seen.encode()).hexdigest()[:24]}"'
