"""What the results say in plain, odd and empty cases: a defined, explained answer, never NaN."""

import json
import math
import random
from datetime import date
from typing import Any

import pytest
from sqlmodel import Session, select

from backend.results import service
from backend.results.service import Query
from db.models import Answer, Candidate, Rating
from db.queries_results_answers import Behind
from replybench.contract import Source
from replybench.results_contract import Reason, ResultsPublic
from tests.results.studies import Row, four, write_rating, write_study


def get(session: Session, study: str = "pilot", **asked: Any) -> ResultsPublic:
    """Return results as a client reads them."""
    query = Query(study=study, **asked)
    found = service.find_study(session, study)
    version = service.current_version(session, found)
    body = service.results(session, found, query, version=version).model_dump_json()
    _no_nan(json.loads(body, parse_constant=lambda constant: pytest.fail(f"{constant} in the JSON")))
    return ResultsPublic.model_validate_json(body)


def _no_nan(value: object) -> None:
    if isinstance(value, dict):
        for inner in value.values():
            _no_nan(inner)
    elif isinstance(value, list):
        for inner in value:
            _no_nan(inner)
    elif isinstance(value, float):
        assert math.isfinite(value)


def many(tickets: int, lift: float, *, seed: int = 1) -> list[Row]:
    """Two candidates; the first is better by about `lift`."""
    rng = random.Random(seed)
    rows: list[Row] = []
    for i in range(tickets):
        for key, mean in (("llama", 3 + lift), ("gpt", 3.0)):
            scores = {
                m: max(1, min(5, round(rng.gauss(mean, 0.8)))) for m in ("content", "grammar", "structure", "style")
            }
            rows.append((f"t{i}", key, "Olena", scores))
    return rows


# --- empty and odd cases


def test_a_study_without_ratings(session: Session) -> None:
    write_study(session, [])
    found = get(session)
    assert (found.size.tickets, found.candidates, found.pairs) == (0, [], [])
    assert (found.verdict.status, found.verdict.reason) == ("unknown", Reason.NO_RATINGS)
    assert {entry.reason for entry in found.agreement} == {Reason.ONE_RATER}


def test_one_rating(session: Session) -> None:
    write_study(session, [("t", "llama", "Olena", four(4))])
    found = get(session)
    (candidate,) = found.candidates
    assert (candidate.weighted, candidate.interval, candidate.tickets) == (pytest.approx(4), None, 1)
    assert (found.verdict.status, found.verdict.reason) == ("unknown", Reason.ONE_CANDIDATE)
    assert found.friedman[0].reason is Reason.TWO_CANDIDATES


def test_one_ticket_for_two_candidates(session: Session) -> None:
    write_study(session, [("t", "llama", "Olena", four(4)), ("t", "gpt", "Olena", four(2))])
    found = get(session)
    (pair,) = found.pairs
    assert (pair.weighted.mean, pair.weighted.interval, pair.weighted.reason) == (2, None, Reason.ONE_TICKET)
    assert found.verdict.status == "open"
    assert found.verdict.interval is not None
    assert found.verdict.interval.lower < 0 < found.verdict.interval.upper


def test_all_ties(session: Session) -> None:
    write_study(session, [(f"t{i}", key, "Olena", four(3)) for i in range(5) for key in ("a", "b", "c")])
    found = get(session)
    assert (found.verdict.status, found.verdict.reason, found.verdict.more_tickets) == ("open", Reason.ALL_TIES, None)
    assert {pair.weighted.reason for pair in found.pairs} == {Reason.ALL_TIES}
    assert {pair.weighted.p for pair in found.pairs} == {None}
    assert found.friedman[0].reason is Reason.ALL_TIES


def test_a_candidate_without_ratings_is_listed_and_does_not_hold_the_others_up(session: Session) -> None:
    write_study(session, [*many(40, 1.0), ("t0", "silent", "Olena", four(3))])
    silent = session.exec(select(Candidate).where(Candidate.key == "silent")).one()
    answer = session.exec(select(Answer).where(Answer.candidate_id == silent.id)).one()
    session.delete(session.exec(select(Rating).where(Rating.answer_id == answer.id)).one())
    found = get(session)
    assert next(c.reason for c in found.candidates if c.key == "silent") is Reason.NO_RATINGS
    assert found.verdict.compared == 2
    assert len(found.pairs) == 1


def test_candidates_that_share_no_ticket(session: Session) -> None:
    write_study(session, [("t1", "llama", "Olena", four(4)), ("t2", "gpt", "Olena", four(2))])
    found = get(session)
    assert (found.verdict.status, found.verdict.reason) == ("unknown", Reason.NO_COMMON_TICKET)
    assert found.pairs[0].weighted.reason is Reason.NO_COMMON_TICKET


def test_missing_scores_leave_the_weighted_score_out(session: Session) -> None:
    part = {"content": 4, "grammar": 3}
    write_study(session, [("t1", "llama", "Olena", part), ("t1", "gpt", "Olena", part)])
    found = get(session)
    assert {c.weighted for c in found.candidates} == {None}
    assert {c.reason for c in found.candidates} == {Reason.MISSING_SCORES}
    assert found.verdict.reason is Reason.MISSING_SCORES
    assert found.candidates[0].metrics[0].mean == 4


def test_raters_are_averaged_within_a_ticket_first(session: Session) -> None:
    rows: list[Row] = [("t1", "llama", rater, four(5)) for rater in ("Olena", "Marek", "Priya")]
    write_study(session, [*rows, ("t2", "llama", "Olena", four(1))])
    (candidate,) = get(session).candidates
    assert candidate.metrics[0].mean == 3
    assert candidate.metrics[0].mean_of_scores == 4


# --- the verdict


def test_a_clear_difference_is_decided_and_a_small_one_says_how_many_more(session: Session) -> None:
    write_study(session, many(80, 1.2))
    verdict = get(session).verdict
    assert (verdict.status, verdict.more_tickets) == ("decided", 0)
    assert verdict.interval is not None
    assert verdict.interval.lower > 0
    assert verdict.difference == pytest.approx(1.2, abs=0.3)
    write_study(session, many(40, 0.3, seed=3), name="small")
    small = get(session, "small").verdict
    assert small.status == "open"
    assert small.more_tickets is None or small.more_tickets > 0


def test_filters_and_weights(session: Session) -> None:
    study = write_study(session, [])
    for i in range(6):
        source = Source.CONSOLE if i % 2 else Source.ZOHO_DESK
        write_rating(session, study, f"t{i}", "llama", "Olena", four(5, 1, 1, 1), source=source)
        write_rating(session, study, f"t{i}", "gpt", "Olena", four(1, 5, 5, 5), source=source)
    whole = get(session)
    assert whole.size.tickets == 6
    assert get(session, source="zoho_desk").size.tickets == 3
    assert get(session, source="zoho_desk").choices.sources == whole.choices.sources
    assert [c.key for c in get(session, candidates=("llama",)).candidates] == ["llama"]
    assert get(session, last_day=date(2000, 1, 1)).size.tickets == 0
    name = {c.id: c.key for c in whole.candidates}
    assert name[whole.verdict.leader or ""] == "gpt"
    moved = get(session, weights=(("content", 0.9), ("grammar", 0.1)))
    assert name[moved.verdict.leader or ""] == "llama"
    assert next((m.weight, m.own_weight) for m in moved.metrics) == (pytest.approx(0.9), 0.45)
    (content,) = [entry for entry in whole.sensitivity if entry.metric == "content"]
    assert [name[span.leader] for span in content.spans] == ["gpt", "llama"]
    assert content.spans[0].upper == pytest.approx(0.5)


# --- raters


def test_severity_and_agreement(session: Session) -> None:
    rows: list[Row] = []
    for i in range(12):
        base = 2 + i % 3
        rows += [(f"t{i}", "llama", "Olena", four(base + 1)), (f"t{i}", "llama", "Marek", four(base))]
    write_study(session, [*rows, ("alone", "llama", "Priya", four(3))])
    found = get(session)
    olena, marek = (next(r for r in found.raters if r.name == name) for name in ("Olena", "Marek"))
    assert (olena.severity, marek.severity, olena.spread) == (pytest.approx(1), pytest.approx(-1), pytest.approx(0))
    priya = next(r for r in found.raters if r.name == "Priya")
    assert (priya.severity, priya.reason) == (None, Reason.ONE_RATER)
    assert {entry.answers for entry in found.agreement} == {12}
    assert all(entry.alpha is not None and 0 < entry.alpha < 1 for entry in found.agreement)


def test_position_bias_is_found_although_one_candidate_is_better(session: Session) -> None:
    rng = random.Random(5)
    study = write_study(session, [])
    for i in range(60):
        for slot, (key, mean) in zip("ABC", rng.sample([("a", 2.0), ("b", 3.0), ("c", 4.0)], 3), strict=True):
            score = round(mean + (1 if slot == "A" else 0))
            write_rating(session, study, f"t{i}", key, "Olena", four(score), slot=slot)
    slots = {slot.slot: slot for slot in get(session).slots}
    assert slots["A"].effect == pytest.approx(2 / 3, abs=0.1)
    assert slots["A"].interval is not None
    assert slots["A"].interval.lower > 0


# --- the study of 2024


def test_the_published_study(session: Session) -> None:
    study = service.find_study(session, "published-2024")
    found = get(session, study.name)
    assert (found.study.counts_only, found.study.is_read_only) == (True, True)
    negative = {c.name: round(100 * (c.negative or 0), 1) for c in found.candidates}
    assert negative == {"GPT-J-6B fine-tuned": 37.3, "LLaMA-2-7B fine-tuned": 22.2, "ChatGPT 3.5": 40.1}
    means = [figure for figure in found.printed if figure.kind == "mean"]
    agree = {(figure.metric, figure.candidate) for figure in means if figure.agrees}
    assert agree == {
        ("content", "gpt-j-6b-fine-tuned"),
        ("grammar", "llama-2-7b-fine-tuned"),
        ("grammar", "chatgpt-3-5"),
        ("structure", "gpt-j-6b-fine-tuned"),
        ("structure", "llama-2-7b-fine-tuned"),
        ("style", "gpt-j-6b-fine-tuned"),
    }
    for figure in means:
        assert (abs(figure.printed - figure.computed) < 1e-9) == figure.agrees
    wrong = {(f.metric, f.candidate): f.scores for f in means if not f.agrees}
    assert wrong.pop(("content", "llama-2-7b-fine-tuned")) == 124
    assert sorted(wrong.values()) == [102, 122, 122, 123, 123]
    assert all(figure.agrees for figure in found.printed if figure.kind in {"negative", "positive"})
    assert (found.verdict.status, found.verdict.reason) == ("unknown", Reason.COUNTS_ONLY)
    assert service.answers(session, study, Query(), Behind(), limit=5, offset=0).answers == []
