"""The redactor on the labelled texts of the benchmark, with floors that it has to keep."""

from benchmarks.redaction import labelled, measure
from replybench.redaction import Redactor


def test_there_are_enough_texts_and_kinds() -> None:
    texts = list(labelled())
    assert len(texts) >= 300
    assert sum(not labels for _, labels in texts) >= 80  # texts in which nothing is to be found
    assert len({label.kind for _, labels in texts for label in labels}) == 12


def test_with_the_model() -> None:
    score = measure(Redactor("model").find)
    assert score.recall("name") >= 0.90
    assert score.precision("name") >= 0.90
    assert sum(score.found.values()) / sum(score.labels.values()) >= 0.93
    for kind in ("email", "password", "id_number", "ip", "url", "username"):
        assert score.recall(kind) == 1.0, kind


def test_with_patterns_only() -> None:
    score = measure(Redactor("patterns").find)
    assert score.recall("name") >= 0.45
    assert sum(score.right.values()) / sum(score.finds.values()) >= 0.93
