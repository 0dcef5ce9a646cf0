"""What ratings teach: which pairs and labels come out of which scores, and where each comes from."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from db.models import now
from db.queries_training import RatedRow
from replybench.errors import ConfigError
from replybench.prompts import Turn
from replybench.rubric import rubric
from training.dataset import Thread
from training.preferences.folder import load_preferences, redacted, write_preferences
from training.preferences.pairs import Made, Rules, from_threads, learn, side, weighted

WEIGHTS = dict(rubric().weights)
RULES = Rules(heldout_share=0.2)
ANN, BEN, CARA, DAN = (uuid4() for _ in range(4))
GOOD, FAIR, BAD = (dict.fromkeys(WEIGHTS, score) for score in (5, 4, 1))


def rated(
    ticket: UUID, answer: UUID, rater: UUID, scores: dict[str, int], text: str = "", corrected: str | None = None
) -> RatedRow:
    return RatedRow(
        rating_id=uuid4(),
        answer_id=answer,
        ticket_id=ticket,
        suggestion_id=uuid4(),
        rater_id=rater,
        candidate_key=f"c{str(answer)[:4]}",
        subject="Password",
        text="I cannot sign in.",
        earlier=[{"role": "customer", "text": "Hello"}, {"role": "agent", "text": "Hi!"}],
        language="en",
        answer=text or f"Answer {answer}",
        corrected=corrected,
        scores=scores,
        rated_at=now(),
    )


def made(*rows: RatedRow, **rules: float) -> Made:
    return learn(rows, WEIGHTS, rubric().positive_from, RULES.model_copy(update=rules))


def test_the_better_answer_is_chosen_with_its_provenance() -> None:
    ticket, one, other = uuid4(), uuid4(), uuid4()
    rows = [rated(ticket, one, ANN, BAD, "Worse."), rated(ticket, other, ANN, GOOD, "Better.")]
    (pair,) = made(*rows).pairs
    assert (pair.chosen, pair.rejected, pair.margin, pair.agreement) == ("Better.", "Worse.", 4.0, 1.0)
    assert pair.turns == (Turn("customer", "Hello"), Turn("agent", "Hi!"), Turn("customer", "I cannot sign in."))
    assert pair.provenance.ticket == str(ticket)
    assert pair.provenance.answers == [str(other), str(one)]
    assert set(pair.provenance.ratings) == {str(row.rating_id) for row in rows}


def test_answers_are_compared_by_the_rubrics_weights() -> None:
    """Better content outweighs better grammar, structure or style alone."""
    ticket, one, other = uuid4(), uuid4(), uuid4()
    content = {key: 5 if key == "content" else 3 for key in WEIGHTS}
    grammar = {key: 5 if key == "grammar" else 3 for key in WEIGHTS}
    (pair,) = made(rated(ticket, one, ANN, content), rated(ticket, other, ANN, grammar)).pairs
    assert pair.provenance.answers[0] == str(one)
    assert pair.margin == pytest.approx(2 * (0.45 - 0.20))


def test_a_strict_rater_does_not_make_an_answer_worse() -> None:
    """Only those who scored both answers count: Ben's low score of one alone says nothing of the other."""
    ticket, one, other = uuid4(), uuid4(), uuid4()
    rows = [
        rated(ticket, one, ANN, GOOD),
        rated(ticket, other, ANN, FAIR),
        rated(ticket, one, BEN, BAD),
    ]
    (pair,) = made(*rows).pairs
    assert pair.provenance.answers[0] == str(one)
    assert pair.raters == 1


@pytest.mark.parametrize(
    ("rules", "reason"),
    [({"min_margin": 1.5}, "pair: too close"), ({"min_agreement": 0.8}, "pair: raters disagree")],
)
def test_what_is_not_clear_is_left_out_and_counted(rules: dict[str, float], reason: str) -> None:
    ticket, one, other = uuid4(), uuid4(), uuid4()
    rows = []
    for rater, first, second in ((ANN, GOOD, FAIR), (BEN, GOOD, FAIR), (CARA, GOOD, BAD), (DAN, FAIR, GOOD)):
        rows += [rated(ticket, one, rater, first), rated(ticket, other, rater, second)]
    assert len(made(*rows).pairs) == 1
    found = made(*rows, **rules)
    assert not found.pairs
    assert found.left_out[reason] == 1


def test_no_pair_over_tickets_or_without_a_common_rater() -> None:
    found = made(rated(uuid4(), uuid4(), ANN, GOOD), rated(uuid4(), uuid4(), ANN, BAD))
    assert not found.pairs
    ticket = uuid4()
    found = made(rated(ticket, uuid4(), ANN, GOOD), rated(ticket, uuid4(), BEN, BAD))
    assert found.left_out["pair: nobody scored both"] == 1


def test_a_correction_is_chosen_over_the_original() -> None:
    ticket, answer = uuid4(), uuid4()
    row = rated(ticket, answer, ANN, FAIR, "It is 5 EUR.", corrected=" It is 6.90 EUR. ")
    found = made(row)
    (pair,) = found.pairs
    assert (pair.kind, pair.chosen, pair.rejected) == ("correction", "It is 6.90 EUR.", "It is 5 EUR.")
    assert pair.provenance.ratings == [str(row.rating_id)]
    assert any(label.kind == "correction" and label.is_good for label in found.labels)
    assert not made(rated(ticket, answer, ANN, FAIR, "Same words.", corrected="same  words.")).pairs


def test_labels_follow_positive_and_negative_scores() -> None:
    """Scores from 3 are positive. 45% content and 20% grammar positive is neither good nor bad."""
    mixed = {"content": 3, "grammar": 3, "structure": 2, "style": 2}
    labels = {
        name: made(rated(uuid4(), uuid4(), ANN, scores)).labels
        for name, scores in (
            ("good", dict.fromkeys(WEIGHTS, 3)),
            ("bad", dict.fromkeys(WEIGHTS, 2)),
            ("mixed", mixed),
        )
    }
    assert [label.is_good for label in labels["good"]] == [True]
    assert [label.is_good for label in labels["bad"]] == [False]
    assert labels["mixed"] == []


def test_outcomes_label_the_last_answer() -> None:
    def thread(outcome: Any) -> Thread:
        turns = (
            Turn("customer", "a"),
            Turn("agent", "b"),
            Turn("customer", "c"),
            Turn("agent", "d"),
            Turn("customer", "e"),
        )
        common = {"subject": "", "outcome_rule": "r", "language": "en", "category": None, "split": "heldout"}
        return Thread(id=str(outcome), turns=turns, outcome=outcome, group="g", **common)

    found = from_threads([thread("success"), thread("failure"), thread("unknown")])
    assert [(label.answer, label.is_good, label.split) for label in found] == [
        ("d", True, "heldout"),
        ("d", False, "heldout"),
    ]
    assert [turn.text for turn in found[0].turns] == ["a", "b", "c"]


def test_a_ticket_is_on_one_side_whoever_asked_it() -> None:
    turns = [Turn("customer", "I cannot sign in.")]
    assert side("Password", turns, 0.5) == side("Password", list(turns), 0.5)
    sides = [side(f"ticket {at}", turns, 0.2) for at in range(2_000)]
    assert sides.count("heldout") == pytest.approx(400, abs=70)


def test_a_missing_metric_makes_no_pair() -> None:
    ticket = uuid4()
    assert not made(rated(ticket, uuid4(), ANN, {"content": 5}), rated(ticket, uuid4(), ANN, GOOD)).pairs
    assert weighted({"content": 5}, WEIGHTS) != weighted({"content": 5}, WEIGHTS)


def test_the_folder_is_redacted_whole_and_refused_when_changed(tmp_path: Any) -> None:
    row = rated(uuid4(), uuid4(), ANN, BAD, "Ask Ana.", corrected="Call Ana Reis.")
    clean = redacted(
        made(row), lambda texts: [text.replace("Ana Reis", "{name}").replace("Ana", "{name}") for text in texts]
    )
    report = write_preferences(tmp_path, clean, RULES, {"study": "s"})
    assert report["pairs"]["correction"] == 1
    assert "Ana" not in "".join(file.read_text("utf-8") for file in tmp_path.iterdir())
    loaded = load_preferences(tmp_path)
    assert loaded.pairs == clean.pairs
    assert loaded.labels == clean.labels
    pairs = tmp_path / "pairs.jsonl"
    pairs.write_text(pairs.read_text("utf-8").replace("Call", "Kall"), "utf-8")
    with pytest.raises(ConfigError, match="was changed"):
        load_preferences(tmp_path)
    with pytest.raises(ConfigError, match="holds no preferences"):
        load_preferences(tmp_path / "none")
