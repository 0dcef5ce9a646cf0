"""GET /api/results and its neighbours over HTTP, and each empty or odd case: a defined, explained answer, never NaN."""

import json
import math
import random
from typing import Any

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import Engine

from db.models import Study
from db.session import session_scope
from replybench.contract import Source
from replybench.results_contract import Reason, ResultsPublic
from tests.results.studies import Row, four, write_rating, write_study


def get(api: TestClient, **params: Any) -> ResultsPublic:
    response = api.get("/api/results", params={"study": "pilot", **params})
    assert response.status_code == 200, response.text
    _no_nan(json.loads(response.content, parse_constant=lambda constant: pytest.fail(f"{constant} in the JSON")))
    return ResultsPublic.model_validate_json(response.content)


def _no_nan(value: object) -> None:
    if isinstance(value, dict):
        for inner in value.values():
            _no_nan(inner)
    elif isinstance(value, list):
        for inner in value:
            _no_nan(inner)
    elif isinstance(value, float):
        assert math.isfinite(value)


def fill(engine: Engine, rows: list[Row], **study: object) -> None:
    with session_scope(engine) as session:
        write_study(session, rows, **study)  # type: ignore[arg-type]  # the study's own fields


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


def test_a_study_without_ratings(api: TestClient, db_engine: Engine) -> None:
    fill(db_engine, [])
    found = get(api)
    assert (found.size.tickets, found.candidates, found.pairs) == (0, [], [])
    assert (found.verdict.status, found.verdict.reason) == ("unknown", Reason.NO_RATINGS)
    assert {entry.reason for entry in found.agreement} == {Reason.ONE_RATER}


def test_one_rating(api: TestClient, db_engine: Engine) -> None:
    fill(db_engine, [("t", "llama", "Olena", four(4))])
    found = get(api)
    (candidate,) = found.candidates
    assert (candidate.weighted, candidate.interval, candidate.tickets) == (pytest.approx(4), None, 1)
    assert (found.verdict.status, found.verdict.reason) == ("unknown", Reason.ONE_CANDIDATE)
    assert found.friedman[0].reason is Reason.TWO_CANDIDATES


def test_one_ticket_for_two_candidates(api: TestClient, db_engine: Engine) -> None:
    fill(db_engine, [("t", "llama", "Olena", four(4)), ("t", "gpt", "Olena", four(2))])
    found = get(api)
    (pair,) = found.pairs
    assert (pair.weighted.mean, pair.weighted.interval, pair.weighted.reason) == (2, None, Reason.ONE_TICKET)
    assert found.verdict.status == "open"
    assert found.verdict.interval is not None
    assert found.verdict.interval.lower < 0 < found.verdict.interval.upper


def test_all_ties(api: TestClient, db_engine: Engine) -> None:
    fill(db_engine, [(f"t{i}", key, "Olena", four(3)) for i in range(5) for key in ("a", "b", "c")])
    found = get(api)
    assert (found.verdict.status, found.verdict.reason, found.verdict.more_tickets) == ("open", Reason.ALL_TIES, None)
    assert {pair.weighted.reason for pair in found.pairs} == {Reason.ALL_TIES}
    assert {pair.weighted.p for pair in found.pairs} == {None}
    assert found.friedman[0].reason is Reason.ALL_TIES


def test_a_candidate_without_ratings_is_listed_and_does_not_hold_the_others_up(
    api: TestClient, db_engine: Engine
) -> None:
    fill(db_engine, [*many(40, 1.0), ("t0", "silent", "Olena", four(3))])
    with session_scope(db_engine) as session:
        from sqlmodel import select

        from db.models import Answer, Candidate, Rating

        silent = session.exec(select(Candidate).where(Candidate.key == "silent")).one()
        answer = session.exec(select(Answer).where(Answer.candidate_id == silent.id)).one()
        session.delete(session.exec(select(Rating).where(Rating.answer_id == answer.id)).one())
    found = get(api)
    assert next(c.reason for c in found.candidates if c.key == "silent") is Reason.NO_RATINGS
    assert found.verdict.compared == 2
    assert len(found.pairs) == 1


def test_candidates_that_share_no_ticket(api: TestClient, db_engine: Engine) -> None:
    fill(db_engine, [("t1", "llama", "Olena", four(4)), ("t2", "gpt", "Olena", four(2))])
    found = get(api)
    assert (found.verdict.status, found.verdict.reason) == ("unknown", Reason.NO_COMMON_TICKET)
    assert found.pairs[0].weighted.reason is Reason.NO_COMMON_TICKET


def test_missing_scores_leave_the_weighted_score_out(api: TestClient, db_engine: Engine) -> None:
    part = {"content": 4, "grammar": 3}
    fill(db_engine, [("t1", "llama", "Olena", part), ("t1", "gpt", "Olena", part)])
    found = get(api)
    assert {c.weighted for c in found.candidates} == {None}
    assert {c.reason for c in found.candidates} == {Reason.MISSING_SCORES}
    assert found.verdict.reason is Reason.MISSING_SCORES
    assert found.candidates[0].metrics[0].mean == 4


def test_raters_are_averaged_within_a_ticket_first(api: TestClient, db_engine: Engine) -> None:
    rows: list[Row] = [("t1", "llama", rater, four(5)) for rater in ("Olena", "Marek", "Priya")]
    fill(db_engine, [*rows, ("t2", "llama", "Olena", four(1))])
    (candidate,) = get(api).candidates
    assert candidate.metrics[0].mean == 3
    assert candidate.metrics[0].mean_of_scores == 4


# --- the verdict


def test_a_clear_difference_is_decided_and_a_small_one_says_how_many_more(api: TestClient, db_engine: Engine) -> None:
    fill(db_engine, many(80, 1.2))
    verdict = get(api).verdict
    assert (verdict.status, verdict.more_tickets) == ("decided", 0)
    assert verdict.interval is not None
    assert verdict.interval.lower > 0
    assert verdict.difference == pytest.approx(1.2, abs=0.3)
    with session_scope(db_engine) as session:
        write_study(session, many(40, 0.3, seed=3), name="small")
    small = ResultsPublic.model_validate_json(api.get("/api/results", params={"study": "small"}).content).verdict
    assert small.status == "open"
    assert small.more_tickets is None or small.more_tickets > 0


def test_filters_and_weights(api: TestClient, db_engine: Engine) -> None:
    with session_scope(db_engine) as session:
        study = write_study(session, [])
        for i in range(6):
            source = Source.CONSOLE if i % 2 else Source.ZOHO_DESK
            write_rating(session, study, f"t{i}", "llama", "Olena", four(5, 1, 1, 1), source=source)
            write_rating(session, study, f"t{i}", "gpt", "Olena", four(1, 5, 5, 5), source=source)
    whole = get(api)
    assert whole.size.tickets == 6
    assert get(api, source="zoho_desk").size.tickets == 3
    assert get(api, source="zoho_desk").choices.sources == whole.choices.sources
    assert [c.key for c in get(api, candidate="llama").candidates] == ["llama"]
    assert get(api, to="2000-01-01").size.tickets == 0
    name = {c.id: c.key for c in whole.candidates}
    assert name[whole.verdict.leader or ""] == "gpt"
    moved = get(api, weights="content:0.9,grammar:0.1")
    assert name[moved.verdict.leader or ""] == "llama"
    assert next((m.weight, m.own_weight) for m in moved.metrics) == (pytest.approx(0.9), 0.45)
    (content,) = [entry for entry in whole.sensitivity if entry.metric == "content"]
    assert [name[span.leader] for span in content.spans] == ["gpt", "llama"]
    assert content.spans[0].upper == pytest.approx(0.5)


def test_weights_that_are_none_are_refused_with_a_sentence(api: TestClient, db_engine: Engine) -> None:
    fill(db_engine, [])
    for weights in ("content", "content:nan", "content:inf", "taste:1", "content:-1,grammar:2"):
        response = api.get("/api/results", params={"study": "pilot", "weights": weights})
        assert response.status_code == 422, weights
        assert response.json()["code"] == "invalid_input"


def test_etag(api: TestClient, db_engine: Engine) -> None:
    fill(db_engine, [("t", "llama", "Olena", four(4))])
    first = api.get("/api/results", params={"study": "pilot"})
    again = api.get("/api/results", params={"study": "pilot"}, headers={"If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.content) == (304, b"")
    other = api.get(
        "/api/results", params={"study": "pilot", "source": "cli"}, headers={"If-None-Match": first.headers["ETag"]}
    )
    assert other.status_code == 200


def test_results_need_the_key(api: TestClient) -> None:
    for path in ("/api/results", "/api/results/answers", "/api/results/report?format=json"):
        assert api.get(path, headers={"Authorization": "Bearer wrong"}).status_code == 401


# --- from figure to cause


def test_answers_behind_a_bar(api: TestClient, db_engine: Engine) -> None:
    with session_scope(db_engine) as session:
        study = write_study(session, [])
        for i, score in enumerate((1, 2, 2, 5)):
            category = "Payouts" if i < 2 else None
            write_rating(session, study, f"t{i}", "llama", "Olena", four(score, 4), category=category)
        write_rating(session, study, "t3", "gpt", "Olena", four(2))
        write_rating(session, study, "t1", "llama", "Marek", four(5))
    ref = next(c.id for c in get(api).candidates if c.key == "llama")

    def subjects(**params: Any) -> list[str]:
        response = api.get("/api/results/answers", params={"study": "pilot", "candidate": ref, **params})
        assert response.status_code == 200, response.text
        return sorted(answer["subject"] for answer in response.json()["answers"])

    assert subjects(metric="content", lowest=2, highest=2) == ["t1", "t2"]
    assert subjects(metric="content", failed=True) == ["t0", "t2"]
    assert subjects(metric="content", failed=True, category="Payouts") == ["t0"]
    assert subjects(metric="content", failed=True, category="") == ["t2"]
    page = api.get("/api/results/answers", params={"study": "pilot", "limit": 4}).json()
    assert (len(page["answers"]), page["next_offset"]) == (4, 4)
    rest = api.get("/api/results/answers", params={"study": "pilot", "limit": 4, "offset": 4}).json()
    assert (len(rest["answers"]), rest["next_offset"]) == (2, None)
    todo = get(api, candidate=ref).todo
    assert [(item.category, item.failed, item.tickets) for item in todo.items] == [("", 1, 2), ("Payouts", 1, 2)]
    assert api.get("/api/results/answers", params={"study": "pilot", "failed": True}).status_code == 422


# --- raters


def test_severity_and_agreement(api: TestClient, db_engine: Engine) -> None:
    rows: list[Row] = []
    for i in range(12):
        base = 2 + i % 3
        rows += [(f"t{i}", "llama", "Olena", four(base + 1)), (f"t{i}", "llama", "Marek", four(base))]
    fill(db_engine, [*rows, ("alone", "llama", "Priya", four(3))])
    found = get(api)
    olena, marek = (next(r for r in found.raters if r.name == name) for name in ("Olena", "Marek"))
    assert (olena.severity, marek.severity, olena.spread) == (pytest.approx(1), pytest.approx(-1), pytest.approx(0))
    priya = next(r for r in found.raters if r.name == "Priya")
    assert (priya.severity, priya.reason) == (None, Reason.ONE_RATER)
    assert {entry.answers for entry in found.agreement} == {12}
    assert all(entry.alpha is not None and 0 < entry.alpha < 1 for entry in found.agreement)


def test_position_bias_is_found_although_one_candidate_is_better(api: TestClient, db_engine: Engine) -> None:
    rng = random.Random(5)
    with session_scope(db_engine) as session:
        study = write_study(session, [])
        for i in range(60):
            for slot, (key, mean) in zip("ABC", rng.sample([("a", 2.0), ("b", 3.0), ("c", 4.0)], 3), strict=True):
                score = round(mean + (1 if slot == "A" else 0))
                write_rating(session, study, f"t{i}", key, "Olena", four(score), slot=slot)
    slots = {slot.slot: slot for slot in get(api).slots}
    assert slots["A"].effect == pytest.approx(2 / 3, abs=0.1)
    assert slots["A"].interval is not None
    assert slots["A"].interval.lower > 0


# --- the study of 2024


def test_the_published_study(api: TestClient) -> None:
    found = get(api, study="published-2024")
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
    assert api.get("/api/results/answers", params={"study": "published-2024"}).json()["answers"] == []


def test_the_published_study_is_listed_and_takes_no_ratings(api: TestClient, db_engine: Engine) -> None:
    studies = {study["name"]: study for study in api.get("/api/studies").json()["studies"]}
    assert studies["published-2024"]["is_read_only"] is True
    assert studies["published-2024"]["is_open"] is False
    with session_scope(db_engine) as session:
        from sqlmodel import select

        stored = session.exec(select(Study).where(Study.name == "published-2024")).one()
        assert sum(stored.weights.values()) == pytest.approx(1)
