"""What is kept equals what is counted directly, whichever way ratings come, change and go."""

import random
import statistics
from collections import Counter, defaultdict
from datetime import UTC, date, datetime

import pytest
from sqlalchemy import Engine, text
from sqlmodel import Session, select

from db import queries_results as queries
from db.models import Answer, Candidate, Rater, Rating, Study, Suggestion, Ticket
from db.queries_results import Tally, View
from db.session import session_scope
from replybench.contract import Source
from replybench.rubric import rubric
from tests.results.studies import four, write_rating, write_study

METRICS = rubric().keys


def fold(engine: Engine, name: str = "pilot") -> int:
    with session_scope(engine) as session:
        study = queries.study_named(session, name)
        assert study is not None
        return queries.fold(session, study, key_metric="content")


def kept(engine: Engine, name: str = "pilot") -> dict[tuple[str, ...], tuple[float, ...]]:
    with session_scope(engine) as session:
        study = queries.study_named(session, name)
        assert study is not None
        return _keyed(queries.kept_tallies(session, study))


def direct(engine: Engine, view: View | None = None, name: str = "pilot") -> dict[tuple[str, ...], tuple[float, ...]]:
    with session_scope(engine) as session:
        study = queries.study_named(session, name)
        assert study is not None
        rows = queries.tallies(session, study, view or View(), weights=study.weights, key_metric="content")
        return _keyed(rows)


def _keyed(rows: list[Tally]) -> dict[tuple[str, ...], tuple[float, ...]]:
    keyed: dict[tuple[str, ...], tuple[float, ...]] = {(r.kind, r.a, r.b, r.c): (r.n, r.s, r.q) for r in rows}
    assert len(keyed) == len(rows), "a key was given twice"
    return keyed


def assert_kept_is_right(engine: Engine, name: str = "pilot") -> None:
    fold(engine, name)
    mine, counted = kept(engine, name), direct(engine, name=name)
    assert mine.keys() == counted.keys()
    for key, row in counted.items():
        assert mine[key] == pytest.approx(row, abs=1e-8), key


def fill(engine: Engine, tickets: int = 25, seed: int = 1) -> None:
    rng = random.Random(seed)
    with session_scope(engine) as session:
        study = write_study(session, [])
        for i in range(tickets):
            for rater in rng.sample(["Olena", "Marek", "Priya"], rng.randint(1, 3)):
                places = rng.sample("ABC", 3)
                for candidate, slot in zip(("llama", "gptj", "gpt"), places, strict=True):
                    if rng.random() < 0.1:
                        continue
                    scores = {metric: rng.randint(1, 5) for metric in METRICS}
                    write_rating(
                        session,
                        study,
                        f"t{i}",
                        candidate,
                        rater,
                        scores,
                        slot=slot,
                        source=rng.choice([Source.CONSOLE, Source.ZOHO_DESK]),
                        language=rng.choice(["en", "uk", None]),
                        category=rng.choice(["Payouts", "Cards", None]),
                        day=datetime(2026, 5, rng.randint(1, 9), tzinfo=UTC),
                        seconds=rng.choice([None, 12.5, 60.0]),
                    )


def test_counts_and_means_equal_a_plain_computation(db_engine: Engine) -> None:
    fill(db_engine)
    fold(db_engine)
    with session_scope(db_engine) as session:
        rows = session.exec(
            select(Rating, Candidate, Suggestion)
            .join(Answer, Answer.id == Rating.answer_id)  # type: ignore[arg-type]  # a column expression
            .join(Candidate, Candidate.id == Answer.candidate_id)  # type: ignore[arg-type]  # a column expression
            .join(Suggestion, Suggestion.id == Answer.suggestion_id)  # type: ignore[arg-type]  # a column expression
        ).all()
        refs = {row.key: row.ref for row in queries.candidates(session, _study(session))}
    counts: Counter[tuple[str, str, int]] = Counter()
    cells: dict[tuple[str, str, str], list[int]] = defaultdict(list)
    for rating, candidate, suggestion in rows:
        for metric, score in rating.scores.items():
            counts[refs[candidate.key], metric, score] += 1
            cells[refs[candidate.key], metric, str(suggestion.ticket_id)].append(score)
    found = kept(db_engine)
    assert {(k[1], k[2], int(k[3])): v[0] for k, v in found.items() if k[0] == "score"} == counts
    for ref in refs.values():
        weighted: dict[str, float] = defaultdict(float)
        for metric in METRICS:
            means = {t: statistics.fmean(s) for (r, m, t), s in cells.items() if (r, m) == (ref, metric)}
            n, total, squares = found["mean", ref, metric, ""]
            assert (n, total) == (len(means), pytest.approx(sum(means.values())))
            assert squares == pytest.approx(sum(mean**2 for mean in means.values()))
            for ticket, mean in means.items():
                weighted[ticket] += rubric().weights[metric] * mean
        assert found["mean", ref, "", ""][1] == pytest.approx(sum(weighted.values()))
    assert found["size", "tickets", "", ""][0] == len({ticket for _, _, ticket in cells})
    assert found["size", "ratings", "", ""][0] == len(rows)


def test_pairs_equal_a_plain_computation(db_engine: Engine) -> None:
    rows = [
        ("t1", "a", "Olena", four(5)),
        ("t1", "a", "Marek", four(4)),
        ("t1", "b", "Olena", four(2)),
        ("t2", "a", "Olena", four(3)),
        ("t2", "b", "Olena", four(3)),
        ("t3", "a", "Olena", four(1)),
    ]
    with session_scope(db_engine) as session:
        refs = _refs(session, write_study(session, rows))
    fold(db_engine)
    first, second = sorted([refs["a"], refs["b"]])
    sign = 1 if first == refs["a"] else -1
    pairs = {key[3]: row[0] for key, row in kept(db_engine).items() if key[:3] == ("pair", first, second)}
    for metric in (*METRICS, ""):
        mine = {int(key.split("|")[1]): n for key, n in pairs.items() if key.split("|")[0] == metric}
        assert mine == {sign * 2_500_000: 1, 0: 1}


def test_each_way_of_change_is_noticed(db_engine: Engine) -> None:
    fill(db_engine)
    assert_kept_is_right(db_engine)
    rng = random.Random(2)
    for change in (_rescore, _move_to_another_rater, _delete_ratings, _delete_with_its_answer, _recategorise, _add):
        before = fold(db_engine)
        with session_scope(db_engine) as session:
            change(session, rng)
        assert fold(db_engine) == before + 1, change.__name__
        assert_kept_is_right(db_engine)


def _rescore(session: Session, rng: random.Random) -> None:
    for rating in session.exec(select(Rating)).all()[::5]:
        rating.scores = {metric: rng.randint(1, 5) for metric in METRICS}
        session.add(rating)


def _move_to_another_rater(session: Session, rng: random.Random) -> None:
    rater = Rater(name="Tom", name_key="tom")
    session.add(rater)
    session.flush()
    olena = session.exec(select(Rater).where(Rater.name_key == "olena")).one()
    session.connection().execute(
        text("UPDATE rating SET rater_id = :tom WHERE rater_id = :olena"), {"tom": rater.id, "olena": olena.id}
    )


def _delete_ratings(session: Session, rng: random.Random) -> None:
    for rating in session.exec(select(Rating)).all()[::7]:
        session.delete(rating)


def _delete_with_its_answer(session: Session, rng: random.Random) -> None:
    """One statement takes both away: the trigger no longer finds the answer."""
    session.connection().execute(
        text(
            "WITH gone AS (SELECT id FROM answer ORDER BY id LIMIT 5),"
            " r AS (DELETE FROM rating WHERE answer_id IN (SELECT id FROM gone))"
            " DELETE FROM answer WHERE id IN (SELECT id FROM gone)"
        )
    )


def _recategorise(session: Session, rng: random.Random) -> None:
    for ticket in session.exec(select(Ticket)).all()[::3]:
        ticket.category, ticket.language = "Refunds", "pl"
        session.add(ticket)


def _add(session: Session, rng: random.Random) -> None:
    write_rating(session, _study(session), "new", "llama", "Greta", four(2))


def test_emptied_table_leaves_nothing(db_engine: Engine) -> None:
    fill(db_engine, tickets=5)
    fold(db_engine)
    with session_scope(db_engine) as session:
        session.connection().execute(text("TRUNCATE rating CASCADE"))
    fold(db_engine)
    assert kept(db_engine) == {}


def test_other_weights_count_everything_anew(db_engine: Engine) -> None:
    fill(db_engine)
    fold(db_engine)
    before = kept(db_engine)
    with session_scope(db_engine) as session:
        study = _study(session)
        study.weights = {"content": 1.0, "grammar": 0.0, "structure": 0.0, "style": 0.0}
        session.add(study)
    assert_kept_is_right(db_engine)
    assert kept(db_engine) != before


def test_nothing_changed_keeps_the_version(db_engine: Engine) -> None:
    fill(db_engine, tickets=3)
    version = fold(db_engine)
    assert version > 0
    assert fold(db_engine) == version


def test_purged_texts_change_no_figure(db_engine: Engine) -> None:
    fill(db_engine, tickets=5)
    version, before = fold(db_engine), kept(db_engine)
    with session_scope(db_engine) as session:
        session.connection().execute(text("UPDATE ticket SET text = '', subject = '', purged_at = now()"))
        session.connection().execute(text("UPDATE answer SET text = ''"))
    assert (fold(db_engine), kept(db_engine)) == (version, before)


def test_deleted_study_leaves_nothing(db_engine: Engine) -> None:
    with session_scope(db_engine) as session:
        study = write_study(session, [])
        identity = study.id
    fold(db_engine)
    with session_scope(db_engine) as session:
        session.delete(_study(session))
    with session_scope(db_engine) as session:
        for table in ("results_tally", "results_rating", "results_dirty", "results_version", "results_candidate"):
            left = session.connection().execute(
                text(f"SELECT count(*) FROM {table} WHERE study_id = :id"),  # noqa: S608  # a name of this list
                {"id": identity},
            )
            assert left.scalar_one() == 0, table


def test_rolled_back_rating_is_not_counted(db_engine: Engine) -> None:
    fill(db_engine, tickets=3)
    version, before = fold(db_engine), kept(db_engine)
    with pytest.raises(RuntimeError), session_scope(db_engine) as session:
        write_rating(session, _study(session), "t0", "llama", "Zoe", four(1))
        raise RuntimeError
    assert (fold(db_engine), kept(db_engine)) == (version, before)


def test_views_add_up_to_the_whole(db_engine: Engine) -> None:
    fill(db_engine)
    fold(db_engine)
    whole = direct(db_engine)
    by_source = [direct(db_engine, View(source=source)) for source in ("console", "zoho_desk")]
    for key, (n, _, _) in whole.items():
        if key[0] == "score" or key[:3] == ("size", "ratings", ""):
            assert n == sum(part.get(key, (0,))[0] for part in by_source)
    days = View(first_day=date(2026, 5, 3), last_day=date(2026, 5, 5))
    assert {key[1] for key in direct(db_engine, days) if key[0] == "day"} <= {"2026-05-03", "2026-05-04", "2026-05-05"}


def test_two_studies_do_not_mix(db_engine: Engine) -> None:
    with session_scope(db_engine) as session:
        write_study(session, [("t", "a", "Olena", four(5))], name="one")
        write_study(session, [("t", "a", "Olena", four(1))], name="two")
    for name in ("one", "two"):
        assert_kept_is_right(db_engine, name)
        assert kept(db_engine, name)["size", "ratings", "", ""][0] == 1


def test_snapshots_of_one_candidate_are_one(db_engine: Engine) -> None:
    rows = [("t1", "llama#1", "Olena", four(5)), ("t2", "llama#2", "Olena", four(3)), ("t2", "gpt", "Olena", four(3))]
    with session_scope(db_engine) as session:
        study = write_study(session, rows)
        found = queries.candidates(session, study)
    assert [(row.key, row.snapshots) for row in found] == [("gpt", 1), ("llama", 2)]


def _study(session: Session) -> Study:
    return session.exec(select(Study).where(Study.name == "pilot")).one()


def _refs(session: Session, study: Study) -> dict[str, str]:
    return {row.key: row.ref for row in queries.candidates(session, study)}
