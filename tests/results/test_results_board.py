"""Results as they are served: fresh when something changed, and free when nothing did."""

import threading
import time
from collections.abc import Iterator
from dataclasses import replace

import pytest
from sqlalchemy import Engine, event, text

from backend.results.board import Board
from backend.results.service import Query
from db.session import session_scope
from replybench.errors import InvalidInput, NotFound
from tests.results.studies import four, write_rating, write_study

PILOT = Query(study="pilot")


@pytest.fixture
def board(db_engine: Engine) -> Iterator[Board]:
    with session_scope(db_engine) as session:
        write_study(session, [("t1", "llama", "Olena", four(4)), ("t1", "gpt", "Olena", four(2))])
    made = Board(db_engine)
    yield made
    made.close()


def until_listening(board: Board) -> None:
    deadline = time.monotonic() + 10
    while board.mark is None:
        assert time.monotonic() < deadline, "the watch did not connect"
        time.sleep(0.02)


def test_unchanged_view_asks_the_database_nothing(board: Board, db_engine: Engine) -> None:
    until_listening(board)
    first = board.serve(PILOT)
    statements: list[str] = []
    event.listen(db_engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    for _ in range(20):
        assert board.serve(PILOT) is first
    assert statements == []


def test_new_rating_is_seen_at_once(board: Board, db_engine: Engine) -> None:
    until_listening(board)
    before = board.serve(PILOT)
    with session_scope(db_engine) as session:
        write_rating(session, write_study(session, []), "t2", "llama", "Olena", four(5))
    deadline = time.monotonic() + 2
    while (after := board.serve(PILOT)).etag == before.etag:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert after.results.size.ratings == before.results.size.ratings + 1


def test_without_the_watch_changes_are_still_seen(board: Board, db_engine: Engine) -> None:
    board.close()
    assert board.mark is None
    before = board.serve(PILOT)
    assert board.serve(PILOT).etag == before.etag
    with session_scope(db_engine) as session:
        write_rating(session, write_study(session, []), "t2", "llama", "Olena", four(5))
    assert board.serve(PILOT).etag != before.etag


def test_the_watch_comes_back_when_its_connection_is_cut(board: Board, db_engine: Engine) -> None:
    until_listening(board)
    heard = board.mark
    with session_scope(db_engine) as session:
        session.connection().execute(
            text(
                "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
                " WHERE application_name = 'replybench-watch' AND datname = current_database()"
            )
        )
    deadline = time.monotonic() + 10
    while board.mark in (None, heard):
        assert time.monotonic() < deadline, "the watch did not come back"
        time.sleep(0.05)


def test_another_process_gives_the_same_etag(board: Board, db_engine: Engine) -> None:
    other = Board(db_engine)
    try:
        assert other.serve(PILOT).etag == board.serve(PILOT).etag
    finally:
        other.close()


def test_each_view_has_its_own_etag(board: Board) -> None:
    views = [PILOT, replace(PILOT, source="console"), replace(PILOT, weights=(("content", 1.0),))]
    assert len({board.serve(view).etag for view in views}) == len(views)


def test_viewers_at_once_cause_one_computation(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    from backend.results import service

    calls = []
    real = service.results

    def slow(*args: object, **kwargs: object) -> object:
        calls.append(1)
        time.sleep(0.2)
        return real(*args, **kwargs)  # type: ignore[arg-type]  # passed on as they came

    monkeypatch.setattr(service, "results", slow)
    viewers = [threading.Thread(target=board.serve, args=(PILOT,)) for _ in range(8)]
    for viewer in viewers:
        viewer.start()
    for viewer in viewers:
        viewer.join()
    assert len(calls) == 1


def test_unknown_study_and_metric_are_told(board: Board) -> None:
    with pytest.raises(NotFound, match="no study 'nowhere'"):
        board.serve(Query(study="nowhere"))
    with pytest.raises(InvalidInput, match="no metric taste"):
        board.serve(replace(PILOT, weights=(("taste", 1.0),)))
    with pytest.raises(InvalidInput, match="at least one must be above zero"):
        board.serve(replace(PILOT, weights=(("content", 0.0),)))
    with pytest.raises(InvalidInput, match="None of the candidates"):
        board.serve(replace(PILOT, candidates=("nobody",)))


def test_without_a_name_the_open_study_is_shown(board: Board) -> None:
    assert board.serve(Query()).results.study.name == "pilot"


def test_no_study_at_all(db_engine: Engine) -> None:
    empty = Board(db_engine)
    try:
        with pytest.raises(NotFound, match="no study yet"):
            empty.serve(Query())
    finally:
        empty.close()
