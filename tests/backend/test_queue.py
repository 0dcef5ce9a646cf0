"""The queue: tickets in, answered in advance, handed out so that none gets more raters than it wants."""

import asyncio
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest
from sqlalchemy import Engine, text, update
from sqlmodel import Session, col

from backend.services import queue
from db import queries, queries_queue
from db.models import Answer, Candidate, Rater, Rating, Skip, Study, Suggestion, Ticket, now
from db.models_queue import QueueAssignment
from db.session import session_scope
from replybench.contract import AnswerStatus, SkipReason, Source
from replybench.redaction import Redactor
from replybench.rubric import rubric
from tests.backend.conftest import API_KEY, GOOD, asked, finished, rate, scripted, wait_until
from tests.backend.test_studies import changed, made

TICKETS = [
    {"subject": f"Ticket {at}", "text": f"What about case {at}?", "id": f"T-{at}", "category": "billing"}
    for at in range(6)
]


def filled(client: httpx.Client, name: str, tickets: list[dict[str, Any]] = TICKETS) -> dict[str, int]:
    response = client.post(f"/api/studies/{name}/tickets", json={"tickets": tickets})
    assert response.status_code == 200, response.text
    counts: dict[str, int] = response.json()
    return counts


def progress(client: httpx.Client, name: str) -> dict[str, Any]:
    found: dict[str, Any] = client.get(f"/api/studies/{name}/progress").json()
    return found


def answered(client: httpx.Client, name: str, count: int) -> None:
    wait_until(lambda: progress(client, name)["queue"]["answered"] == count, 30)


def handed(client: httpx.Client) -> Any:
    response = client.post("/api/queue/next", json={})
    assert response.status_code == 200, response.text
    return response.json()


# --- through the API, with a backend that answers in advance


def test_tickets_are_answered_in_advance_and_rated_by_as_many_as_wanted(serve: Any) -> None:
    with serve() as running, running.client("Ira") as ira:
        name = made(ira, overlap=2)["name"]
        assert filled(ira, name) == {"added": 6, "known": 0}
        answered(ira, name, 6)
        assert handed(ira)["suggestion_id"] is None, "a draft is answered, and not yet handed out"
        changed(ira, name, is_open=True)
        seen: Counter[str] = Counter()
        for who in ("Olena", "Marek", "Ivan"):
            with running.client(who) as rater:
                assert rater.get("/api/queue").json() == {"left": 6 if who != "Ivan" else 0, "coming": 0}
                while (given := handed(rater))["suggestion_id"]:
                    assert handed(rater) == given, "until it is rated, it is the same one"
                    seen[given["suggestion_id"]] += 1
                    for answer in rater.get(f"/api/suggestions/{given['suggestion_id']}").json()["answers"]:
                        assert answer["candidate"] is None
                        rate(rater, answer["id"], GOOD, seconds=30.0)
        assert sorted(seen.values()) == [2] * 6
        found = progress(ira, name)
        assert found["queue"] == {
            "tickets": 6, "waiting": 0, "written": 0, "failed": 0, "answered": 0, "begun": 0, "complete": 6
        }  # fmt: skip
        told = {one["name"]: (one["rated"], one["skipped"], one["holding"], one["seconds"]) for one in found["raters"]}
        assert told == {"Olena": (6, 0, 0, 30.0), "Marek": (6, 0, 0, 30.0)}


def test_the_same_ticket_twice_is_one_by_id_or_by_text(serve: Any) -> None:
    with serve(queue_at_once=0) as running, running.client("Ira") as ira:
        name = made(ira)["name"]
        first, second = TICKETS[:2]
        assert filled(ira, name, [first, second, first]) == {"added": 2, "known": 1}
        same_text = {"text": first["text"], "id": "another"}
        same_id = {"text": "Other words", "id": second["id"]}
        assert filled(ira, name, [same_text, same_id, {"text": "New words"}]) == {"added": 1, "known": 2}
        assert progress(ira, name)["queue"]["waiting"] == 3


def test_a_request_that_is_wrong_anywhere_stores_nothing(serve: Any) -> None:
    with serve(queue_at_once=0) as running, running.client("Ira") as ira:
        name = made(ira)["name"]
        refused = ira.post(f"/api/studies/{name}/tickets", json={"tickets": [TICKETS[0], {"text": "  "}]})
        assert refused.status_code == 422
        assert "tickets.1.text" in refused.json()["message"]
        assert progress(ira, name)["queue"]["tickets"] == 0
        assert ira.post(f"/api/studies/{uuid4()}/tickets", json={"tickets": TICKETS}).status_code == 404
        changed(ira, name, is_open=True)
        changed(ira, name, is_open=False)
        assert ira.post(f"/api/studies/{name}/tickets", json={"tickets": TICKETS}).status_code == 409


def test_personal_data_do_not_reach_the_database(settings: Any, db_engine: Engine) -> None:
    from backend.services.redaction import Redaction
    from tests.backend.conftest import serving

    redactor = Redaction(Redactor(names="patterns"))
    with serving(settings(queue_at_once=0), redactor) as running, running.client("Ira") as ira:
        name = made(ira)["name"]
        filled(ira, name, [{"text": "Write to ann.lee@example.org please", "subject": "ann.lee@example.org"}])
        with session_scope(running.database) as session:
            row = session.execute(text("SELECT subject, text, source, language FROM ticket")).one()
        assert "ann.lee" not in f"{row.subject}{row.text}"
        assert row.source == "import"


def test_an_answer_that_fails_is_tried_again_and_then_told(serve: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(queries_queue, "PAUSE_S", 0.05)
    lineup = scripted(fine='text = "Fine."', broken='text = "x"\nfail_after = 0')
    with serve(lineup) as running, running.client("Ira") as ira:
        name = made(ira)["name"]
        filled(ira, name, TICKETS[:1])
        changed(ira, name, is_open=True)
        wait_until(lambda: progress(ira, name)["queue"]["failed"] == 1, 30)
        assert handed(ira) == {"suggestion_id": None, "left": 0, "coming": 0}, "it is not answered by all"
        with session_scope(running.database) as session:
            attempts = session.execute(text("SELECT max(attempt) FROM answer")).scalar_one()
        assert attempts == queries_queue.MOST_TRIES
        assert ira.post(f"/api/studies/{name}/retry").json() == {"tickets": 1}
        wait_until(lambda: progress(ira, name)["queue"]["failed"] == 1, 30)
        with session_scope(running.database) as session:
            assert session.execute(text("SELECT max(attempt) FROM answer")).scalar_one() > attempts


def test_two_backends_share_the_work_and_what_one_leaves_the_other_takes_up(
    serve: Any, settings: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The first dies in mid-answer as by kill -9: its tasks end without a word, and its lease runs out."""
    monkeypatch.setattr(queries_queue, "PAUSE_S", 0.1)
    slow = scripted(slow='text = "Slow words, one after another."\nchars_per_s = 20')
    with serve(slow, queue_at_once=2) as first, first.client("Ira") as ira:
        name = made(ira)["name"]
        filled(ira, name, TICKETS[:4])
        wait_until(lambda: progress(ira, name)["queue"]["written"] == 2, 10)
        with serve(slow, queue_at_once=2) as second, second.client("Ira") as other:
            wait_until(lambda: progress(other, name)["queue"]["written"] == 4, 10)
            _die(first)
            answered(other, name, 4)
        with session_scope(first.database) as session:
            rows = session.execute(text("SELECT attempt, is_current, status, error_code FROM answer")).all()
        assert Counter(row.status for row in rows if row.is_current) == {"done": 4}
        assert {row.error_code for row in rows if not row.is_current} == {"interrupted"}


def _die(running: Any) -> None:
    """Let a backend's runner fall silent at once, without storing anything."""
    ended = threading.Event()

    def now_dead() -> None:
        runner = running.runner
        runner._keeper._task.cancel()
        for live in list(runner._live.values()):
            for answer in live.answers.values():
                answer.task.cancel()
        runner._is_closing = True
        ended.set()

    running.runner._keeper._task.get_loop().call_soon_threadsafe(now_dead)
    assert ended.wait(5)


def test_who_waits_for_an_answer_comes_before_the_queue(serve: Any) -> None:
    slow = scripted(slow='text = "Slow words, one after another, for a while."\nchars_per_s = 15')
    with serve(slow) as running, running.client("Ira") as ira:
        name = made(ira)["name"]
        live = [asked(ira, f"Live {at}")["id"] for at in range(3)]
        filled(ira, name, TICKETS[:2])
        wait_until(lambda: running.runner.unfinished > 0, 5)
        assert progress(ira, name)["queue"]["waiting"] == 2, "nothing is taken up while somebody waits"
        for one in live:
            finished(ira, one)
        answered(ira, name, 2)


# --- handing out, in the database alone


@pytest.fixture
def raters(db_engine: Engine) -> list[UUID]:
    with session_scope(db_engine) as session:
        people = [Rater(name=f"Rater {at}", name_key=f"r{at}") for at in range(12)]
        session.add_all(people)
    return [person.id for person in people]


def answered_study(session: Session, tickets: int, overlap: int, *, name: str = "queued") -> Study:
    """Store an open study whose queue is answered by one candidate."""
    candidate = queries.pin_candidate(session, Candidate(fingerprint="f", key="one", name="One", engine="scripted"))
    study = Study(name=name, title=name, rubric_version=1, weights=rubric().weights, overlap=overlap, opened_at=now())
    session.add(study)
    session.flush()
    for at in range(tickets):
        ticket = Ticket(text=f"{name} {at}", text_sha256=f"{name}{at}", source=Source.IMPORT)
        session.add(ticket)
        session.flush()
        suggestion = Suggestion(ticket_id=ticket.id, study_id=study.id, lineup="lab")
        session.add(suggestion)
        session.flush()
        session.add(
            Answer(suggestion_id=suggestion.id, candidate_id=candidate.id, status=AnswerStatus.DONE, text="Hello.")
        )
        queries_queue.add_items(session, study.id, [ticket.id])
        session.execute(
            text("UPDATE queue_item SET suggestion_id = :s WHERE ticket_id = :t"),
            {"s": suggestion.id, "t": ticket.id},
        )
    session.flush()
    return study


def test_more_requests_at_once_than_threads_and_connections_are_all_served(
    serve: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests that wait for a thread must not have taken all connections that the threads wait for."""
    with serve() as running:
        monkeypatch.setattr(running.database.pool, "_timeout", 4.0)  # who waits longer for a connection is refused
        with running.client("Ira") as ira:
            name = made(ira, overlap=20)["name"]
            filled(ira, name)
            answered(ira, name, 6)
            changed(ira, name, is_open=True)

        async def all_at_once() -> list[int]:
            async with httpx.AsyncClient(base_url=running.url, timeout=60, limits=httpx.Limits()) as client:
                heads = {"Authorization": f"Bearer {API_KEY}"}
                calls = (
                    client.post("/api/queue/next", json={}, headers={**heads, "X-Rater": f"Rater%20{at}"})
                    for at in range(90)
                )
                return [response.status_code for response in await asyncio.gather(*calls)]

        assert set(asyncio.run(all_at_once())) == {200}


def rated(session: Session, suggestion_id: UUID, rater_id: UUID) -> None:
    for (answer_id,) in session.execute(text("SELECT id FROM answer WHERE suggestion_id = :s"), {"s": suggestion_id}):
        session.add(Rating(answer_id=answer_id, rater_id=rater_id, scores=GOOD, slot="A"))
    session.flush()


@pytest.mark.parametrize("overlap", [1, 2, 3])
def test_many_at_once_never_give_a_ticket_to_more_raters_than_it_wants(
    db_engine: Engine, raters: list[UUID], overlap: int
) -> None:
    with session_scope(db_engine) as session:
        answered_study(session, tickets=8, overlap=overlap)
    start = threading.Barrier(len(raters))

    def work(rater_id: UUID) -> list[UUID]:
        done: list[UUID] = []
        start.wait(10)
        while True:
            with session_scope(db_engine) as session:
                given = queue.hand_out(session, rater_id, None).suggestion_id
            if given is None:
                return done
            with session_scope(db_engine) as session:
                rated(session, given, rater_id)
            done.append(given)

    with ThreadPoolExecutor(len(raters)) as pool:
        done = list(pool.map(work, raters))
    times = Counter(one for mine in done for one in mine)
    assert len(times) == 8
    assert set(times.values()) == {overlap}, "each exactly as often as wanted: not more, and none left"
    assert all(len(mine) == len(set(mine)) for mine in done)


def test_a_ticket_in_hand_is_kept_for_a_while_and_then_given_on(session: Session) -> None:
    first, second = (queries.rater(session, name, name) for name in ("First", "Second"))
    answered_study(session, tickets=1, overlap=1)
    mine = queue.hand_out(session, first.id, None)
    assert mine.suggestion_id
    assert queue.hand_out(session, second.id, None).suggestion_id is None
    session.execute(update(QueueAssignment).values(assigned_at=now() - timedelta(minutes=31)))
    assert queue.hand_out(session, second.id, None).suggestion_id == mine.suggestion_id
    assert queue.hand_out(session, first.id, None).suggestion_id is None, "now the second one has it"


def test_a_skip_gives_the_place_back(session: Session) -> None:
    first, second = (queries.rater(session, name, name) for name in ("First", "Second"))
    answered_study(session, tickets=1, overlap=1)
    given = queue.hand_out(session, first.id, None).suggestion_id
    assert given
    session.add(Skip(suggestion_id=given, rater_id=first.id, reason=SkipReason.UNCLEAR))
    session.flush()
    assert queue.hand_out(session, first.id, None).suggestion_id is None
    assert queue.hand_out(session, second.id, None).suggestion_id == given


def test_the_least_rated_come_first_and_the_study_opened_last(session: Session) -> None:
    first, second = (queries.rater(session, name, name) for name in ("First", "Second"))
    old = answered_study(session, tickets=3, overlap=2, name="old")
    begun = queue.hand_out(session, first.id, None).suggestion_id
    assert begun
    rated(session, begun, first.id)
    assert queue.hand_out(session, second.id, None).suggestion_id != begun, "one that nobody has comes before"
    new = answered_study(session, tickets=1, overlap=1, name="new")
    new.opened_at = now() + timedelta(seconds=1)
    session.add(new)
    session.flush()
    third = queries.rater(session, "Third", "third")
    latest = queue.hand_out(session, third.id, None).suggestion_id
    assert session.get_one(Suggestion, latest).study_id == new.id
    of_old = queue.hand_out(session, third.id, "old").suggestion_id
    assert session.get_one(Suggestion, of_old).study_id == old.id


def test_what_is_closed_or_purged_is_not_handed_out(session: Session) -> None:
    rater = queries.rater(session, "First", "First")
    study = answered_study(session, tickets=2, overlap=1)
    session.execute(update(Ticket).where(col(Ticket.text) == "queued 0").values(purged_at=now()))
    assert queue.own(session, rater.id).left == 1
    study.closed_at = now()
    session.add(study)
    session.flush()
    assert queue.own(session, rater.id).left == 0
