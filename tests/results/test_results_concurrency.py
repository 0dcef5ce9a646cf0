"""Raters write while several processes count: nothing is lost, nothing is counted twice."""

import random
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session, select

from db import queries_results as queries
from db.models import Answer, Candidate, Rating, Study, Suggestion, Ticket
from db.models import Rater as Person
from db.session import session_scope
from replybench.contract import AnswerStatus, Source
from tests.results.studies import four, write_study

TICKETS, RATERS, ROUNDS = 8, 4, 20


def prepare(session: Session) -> None:
    study = write_study(session, [])
    candidates = [Candidate(fingerprint=key, key=key, name=key, engine="scripted") for key in ("a", "b")]
    people = [Person(name=f"r{i}", name_key=f"r{i}") for i in range(RATERS)]
    tickets = [Ticket(text=f"t{i}", text_sha256=f"t{i}", source=Source.CONSOLE) for i in range(TICKETS)]
    session.add_all([*candidates, *people, *tickets])
    session.flush()
    for ticket in tickets:
        asked = Suggestion(ticket_id=ticket.id, study_id=study.id, lineup="test")
        session.add(asked)
        session.flush()
        session.add_all(
            [Answer(suggestion_id=asked.id, candidate_id=c.id, status=AnswerStatus.DONE) for c in candidates]
        )


def rate(engine: Engine, number: int) -> None:
    """Write, change and take back ratings of one rater, each in a transaction of its own."""
    rng = random.Random(number)
    for _ in range(ROUNDS):
        with session_scope(engine) as session:
            person = session.exec(select(Person).where(Person.name_key == f"r{number}")).one()
            answers = session.exec(select(Answer)).all()
            answer = rng.choice(answers)
            found = session.exec(
                select(Rating).where(Rating.answer_id == answer.id, Rating.rater_id == person.id)
            ).one_or_none()
            if found is None:
                session.add(Rating(answer_id=answer.id, rater_id=person.id, scores=four(rng.randint(1, 5)), slot="A"))
            elif rng.random() < 0.3:
                session.delete(found)
            else:
                found.scores = four(rng.randint(1, 5))
                session.add(found)


def test_counting_while_ratings_are_written(db_engine: Engine) -> None:
    with session_scope(db_engine) as session:
        prepare(session)
    done = threading.Event()

    def count() -> int:
        last = 0
        while not done.is_set():
            with session_scope(db_engine) as session:
                study = session.exec(select(Study).where(Study.name == "pilot")).one()
                version = queries.fold(session, study, key_metric="content")
            assert version >= last
            last = version
        return last

    with ThreadPoolExecutor(RATERS + 2) as pool:
        counters = [pool.submit(count) for _ in range(2)]
        writers = [pool.submit(rate, db_engine, number) for number in range(RATERS)]
        try:
            for writer in writers:
                writer.result()
        finally:
            done.set()
        assert max(counter.result() for counter in counters) > 0
    with session_scope(db_engine) as session:
        study = session.exec(select(Study).where(Study.name == "pilot")).one()
        queries.fold(session, study, key_metric="content")
        kept = {row[:4]: row[4:] for row in queries.kept_tallies(session, study)}
        direct = queries.tallies(session, study, queries.View(), weights=study.weights, key_metric="content")
        assert set(kept) == {row[:4] for row in direct}
        for row in direct:
            assert kept[row[:4]] == pytest.approx(row[4:], abs=1e-8)
        in_base = session.connection().execute(text("SELECT count(*) FROM rating")).scalar_one()
        assert kept["size", "ratings", "", ""][0] == in_base
