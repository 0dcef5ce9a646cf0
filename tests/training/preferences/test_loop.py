"""The loop: real ratings rows → preferences → DPO and KTO → challenge → promote."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import Engine, text

from db import queries_training
from db.models import Study, now
from db.session import session_scope
from replybench.errors import Conflict, InvalidInput, NotFound, Unavailable
from replybench.lineups import load_lineup
from replybench.redaction import Redactor
from tests.backend.conftest import API_KEY, make_settings, serving, wait_until
from tests.results.studies import four, write_study
from tests.training.finetune.conftest import recipe_of
from training.finetune.register import candidate_block
from training.finetune.run import train
from training.finetune.run_folder import RunFolder, run_folder
from training.preferences.folder import load_preferences
from training.preferences.pairs import Rules
from training.preferences.promote import promote
from training.preferences.studies import Backend, challenge, export_preferences, verdict_of
from training.settings import TrainingSettings

Verdict = dict[str, Any]
RULES = Rules(heldout_share=0.3)


def redact(texts: Sequence[str]) -> list[str]:
    return [found.text for found in Redactor(names="patterns").redact_ticket(list(texts))]


@pytest.fixture
def rated_study(db_engine: Engine) -> str:
    """A study in which two raters prefer `careful` to `hasty` on sixteen tickets."""
    rows = []
    for at in range(16):
        for rater in ("Olena", "Marek"):
            rows.append((f"ticket {at}", "careful", rater, four(5, 4)))
            rows.append((f"ticket {at}", "hasty", rater, four(2, 2)))
    with session_scope(db_engine) as session:
        write_study(session, rows, name="pilot", opened_at=now())
    return "pilot"


@pytest.fixture
def preferences(db_engine: Engine, rated_study: str, tmp_path: Path) -> Path:
    out = tmp_path / "preferences"
    export_preferences(db_engine, rated_study, out, RULES, redact)
    return out


def test_ratings_become_pairs_and_labels(preferences: Path, db_engine: Engine) -> None:
    found = load_preferences(preferences)
    assert len(found.pairs) == 16
    assert all(pair.provenance.candidates == ["careful", "hasty"] for pair in found.pairs)
    assert {pair.raters for pair in found.pairs} == {2}
    assert sum(label.is_good for label in found.labels) == 16
    assert len(found.labels) == 32
    assert {pair.split for pair in found.pairs} == {"train", "heldout"}
    with session_scope(db_engine) as session:
        study = queries_training.study_named(session, "pilot")
        assert study is not None
        ids = {str(row.rating_id) for row in queries_training.rated_answers(session, study.id)}
    assert {rating for pair in found.pairs for rating in pair.provenance.ratings} == ids


def test_a_study_without_ratings_is_told(db_engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(NotFound):
        export_preferences(db_engine, "none", tmp_path, RULES, redact)
    with session_scope(db_engine) as session:
        queries_training.add_study(session, Study(name="empty", title="Empty", rubric_version=1))
    with pytest.raises(InvalidInput, match="nothing to learn"):
        export_preferences(db_engine, "empty", tmp_path, RULES, redact)


@pytest.mark.parametrize("kind", ["dpo", "kto"])
def test_what_raters_chose_becomes_likelier(
    kind: str, preferences: Path, base_models: dict[str, Path], settings: TrainingSettings
) -> None:
    recipe = recipe_of(
        base_models["llama"],
        preferences,
        kind=kind,
        optimizer={"learning_rate": 0.005, "schedule": "constant"},
        length={"max_steps": 6},
    )
    folder = run_folder(settings.runs_dir, kind)
    state = train(recipe, folder, settings, say=lambda _: None)
    assert state.status == "finished"
    steps = {row.step: row.values for row in folder.metrics()}
    margin = "eval_margin"
    assert steps[6][margin] > steps[0].get(margin, 0.0) + 0.01
    assert steps[6]["eval_loss"] < steps[0]["eval_loss"]
    assert (folder.adapter / "adapter_model.safetensors").is_file()


def test_the_next_adapter_grows_from_the_last(
    preferences: Path, prepared: Path, base_models: dict[str, Path], settings: TrainingSettings
) -> None:
    """DPO on an adapter begins at that adapter: its first held-out margin is zero, its loss log 2."""
    first = run_folder(settings.runs_dir, "first")
    train(recipe_of(base_models["llama"], prepared), first, settings, say=lambda _: None)
    recipe = recipe_of(
        base_models["llama"],
        preferences,
        kind="dpo",
        preference={"adapter": str(first.adapter)},
        length={"max_steps": 2},
    )
    folder = run_folder(settings.runs_dir, "second")
    train(recipe, folder, settings, say=lambda _: None)
    begin = folder.metrics()[0].values
    assert begin["eval_loss"] == pytest.approx(0.6931, abs=1e-3)
    assert begin["eval_margin"] == pytest.approx(0, abs=1e-4)


OLD_AND_NEW = """
name = "lab"
title = "Lab"

# What serves now.
[[candidates]]
key = "old"
name = "Old"
engine = "scripted"
script = '''
text = "An old answer."
'''

# What may take its place.
[[candidates]]
key = "new"
name = "New"
engine = "scripted"
script = '''
text = "A new answer."
'''
"""


def challenged(db_engine: Engine, backend: Backend, limit: int = 200, **changes: Any) -> int:
    given: dict[str, Any] = {
        "old_study": "pilot",
        "new_study": "challenge-new",
        "title": "New against old",
        "lineup": "lab",
        "candidates": ("old", "new"),
        "overlap": 2,
    }
    return challenge(db_engine, backend, limit=limit, **{**given, **changes})


def test_a_challenge_queues_the_same_tickets_once_for_two_candidates_blind(
    db_engine: Engine, rated_study: str, database_url: str, tmp_path: Path
) -> None:
    with serving(make_settings(database_url, tmp_path, OLD_AND_NEW)) as running:
        backend = Backend(running.url, API_KEY)
        assert challenged(db_engine, backend, limit=3) == 3
        assert challenged(db_engine, backend) == 13
        assert challenged(db_engine, backend) == 0
        with running.client("Olena") as client:
            wait_until(lambda: client.get("/api/queue").json() == {"left": 16, "coming": 0}, 60)
            given = client.post("/api/queue/next", json={}).json()["suggestion_id"]
            suggestion = client.get(f"/api/suggestions/{given}").json()
            assert suggestion["study"] == "challenge-new"
            assert [answer["candidate"] for answer in suggestion["answers"]] == [None, None]
            current = [study["name"] for study in client.get("/api/studies").json()["studies"] if study["is_current"]]
            assert current != ["challenge-new"], "pasted tickets do not go into a challenge"
        with session_scope(db_engine) as session:
            assert session.execute(text("SELECT count(*) FROM ticket")).scalar_one() == 16, "no ticket is copied"
        with pytest.raises(NotFound, match="does not have newer"):
            challenged(db_engine, backend, candidates=("old", "newer"))
        with pytest.raises(NotFound, match="no study"):
            challenged(db_engine, backend, old_study="nothing")
        assert verdict_of(backend, "challenge-new")["status"] != "decided"


def test_a_backend_that_is_away_is_told(db_engine: Engine, rated_study: str) -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    with pytest.raises(Unavailable, match="cannot be reached"):
        challenged(db_engine, Backend("http://127.0.0.1:9", API_KEY, httpx.MockTransport(refuse)))


def decided(leader: str, status: str = "decided") -> Verdict:
    return {
        "status": status,
        "leader": leader,
        "difference": 0.4,
        "lower": 0.1,
        "upper": 0.7,
        "tickets": 60,
        "more_tickets": None if status == "decided" else 40,
        "reason": None,
    }


@pytest.fixture
def lineup(tmp_path: Path) -> Path:
    path = tmp_path / "lab.toml"
    path.write_text(OLD_AND_NEW, "utf-8")
    return path


@pytest.fixture
def made(tmp_path: Path) -> RunFolder:
    return run_folder(tmp_path / "runs", "new")


def promoted(made: RunFolder, lineup: Path, verdict: Verdict, *, force: bool = False) -> Verdict:
    return promote(
        made,
        lineup,
        challenger="new",
        champion="old",
        study="challenge-new",
        verdicts=lambda _: verdict,
        force=force,
        reason="a trial" if force else "",
    )


def test_promote_follows_the_verdict(made: RunFolder, lineup: Path) -> None:
    record = promoted(made, lineup, decided("new"))
    assert not record["forced"]
    (only,) = load_lineup(lineup).candidates
    assert (only.key, only.name) == ("old", "New")
    assert "A new answer." in only.script
    assert json.loads((made.path / "promotions.jsonl").read_text("utf-8"))["verdict"]["tickets"] == 60


@pytest.mark.parametrize(
    ("verdict", "told"),
    [
        (decided("old"), "people rate 'old' higher"),
        (decided("new", "open"), "About 40 more tickets"),
    ],
)
def test_promote_refuses_without_a_verdict_in_its_favour(
    made: RunFolder, lineup: Path, verdict: Verdict, told: str
) -> None:
    with pytest.raises(Conflict, match=told):
        promoted(made, lineup, verdict)
    assert lineup.read_text("utf-8") == OLD_AND_NEW
    assert not made.path.exists()


def test_a_forced_promotion_is_recorded_as_one(made: RunFolder, lineup: Path) -> None:
    record = promoted(made, lineup, decided("old"), force=True)
    assert record["forced"]
    assert record["reason"] == "a trial"
    assert record["verdict"]["leader"] == "old"


def test_a_block_of_a_lineup_is_a_candidate(tmp_path: Path, lineup: Path) -> None:
    recipe = recipe_of("embedded", tmp_path, method="qlora")
    block = candidate_block(
        "r1", recipe, tmp_path / "runs/r1/adapter", load_lineup(lineup), lineup, key="r1", name='A "quoted" name'
    )
    lineup.write_text(f"{OLD_AND_NEW}\n{block}", "utf-8")
    added = load_lineup(lineup).candidates[-1]
    assert added.name == 'A "quoted" name'
    assert added.adapter == str(tmp_path / "runs/r1/adapter")
    assert (added.quantisation, added.base) == ("nf4", "embedded")
