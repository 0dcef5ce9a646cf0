"""The rubric: the study's metrics, weights and scale, and what scores are refused."""

import pytest

from replybench.errors import InvalidInput
from replybench.rubric import rubric

GOOD = {"content": 5, "grammar": 4, "structure": 3, "style": 1}


def test_the_weights_are_those_of_the_study() -> None:
    assert rubric().weights == {"content": 0.45, "grammar": 0.20, "structure": 0.20, "style": 0.15}
    assert rubric().positive_from == 3


def test_every_score_is_described_in_both_languages() -> None:
    for metric in rubric().metrics:
        assert len(metric.en.scale) == len(metric.uk.scale) == 5
        assert len(set(metric.en.scale) | set(metric.uk.scale)) == 10


def test_the_weighted_score_is_the_sum_of_weight_times_mean() -> None:
    assert rubric().weighted({"content": 5, "grammar": 4, "structure": 3, "style": 1}) == pytest.approx(3.8)


@pytest.mark.parametrize(
    ("scores", "says"),
    [
        ({key: value for key, value in GOOD.items() if key != "style"}, "No score for style"),
        ({}, "No score for content, grammar, structure, style"),
        ({**GOOD, "tone": 3}, "Unknown metric tone"),
        ({**GOOD, "content": 0}, "score for content must be from 1 to 5"),
        ({**GOOD, "grammar": 6}, "score for grammar must be from 1 to 5"),
    ],
)
def test_partial_or_impossible_scores_are_refused_with_the_metrics_name(scores: dict[str, int], says: str) -> None:
    with pytest.raises(InvalidInput, match=says):
        rubric().check(scores)


def test_a_whole_set_is_accepted() -> None:
    rubric().check(GOOD)
