"""The study of 2024, of which only counts were published: computed from them, its printed figures beside."""

import json
from functools import cache
from importlib.resources import files
from typing import Any

from backend.results.reading import Read, Subject, Sums
from db.queries_results import CandidateRow
from replybench.results_contract import CandidateResult, PrintedFigure

NAME = "published-2024"


@cache
def document() -> dict[str, Any]:
    """Return the published counts and printed figures, as they were typed from the study."""
    loaded: dict[str, Any] = json.loads((files("backend.results") / "published_2024.json").read_text("utf-8"))
    return loaded


def subject() -> Subject:
    """Return its metrics, its scale of 1 to 5 (3 and more are positive), and its candidates."""
    weights = {metric: float(entry["weight"]) for metric, entry in document()["metrics"].items()}
    rows = [CandidateRow(_ref(name), _ref(name), name, 1) for name in document()["models"]]
    return Subject(weights, weights, 1, 5, 3, rows)


def _ref(name: str) -> str:
    return "".join(c if c.isalnum() else "-" for c in name.lower())


def reading() -> Read:
    """Return its counts. Tickets are not known, so a mean has no spread and nothing can be paired."""
    read = Read()
    for metric, models in document()["counts_of_scores_1_to_5"].items():
        for name, counts in models.items():
            ref = _ref(name)
            read.scores[ref, metric] = dict(enumerate(counts, start=1))
            n, s = sum(counts), float(sum(score * times for score, times in enumerate(counts, start=1)))
            read.means[ref, metric] = Sums(n, s, 0.0)
            read.sizes["ratings", ref] = max(read.size("ratings", ref), n)
    return read


def printed(results: list[CandidateResult]) -> list[PrintedFigure]:
    """Return every figure that the study printed, beside what its counts give."""
    by_name = {candidate.name: candidate for candidate in results}
    figures = []
    for kind, table, digits in (("mean", "printed_means", 9), ("weighted_mean", "printed_weighted_means", 9)):
        for metric, models in document()[table].items():
            for name, figure in models.items():
                result = next(m for m in by_name[name].metrics if m.metric == metric)
                computed = (result.mean if kind == "mean" else result.contribution) or 0.0
                figures.append(_figure(kind, by_name[name].id, metric, figure, computed, digits, sum(result.counts)))
    for name, (negative, positive) in document()["printed_negative_positive_percent"].items():
        candidate = by_name[name]
        scores = sum(sum(metric.counts) for metric in candidate.metrics)
        figures.append(_figure("negative", candidate.id, None, negative, 100 * (candidate.negative or 0), 1, scores))
        figures.append(_figure("positive", candidate.id, None, positive, 100 * (candidate.positive or 0), 1, scores))
    return figures


def _figure(
    kind: str, candidate: str, metric: str | None, figure: float, computed: float, digits: int, scores: int
) -> PrintedFigure:
    """Compare at the digits that were printed: `digits` decimals, half a unit of the last either way."""
    stated = document()["stated_ratings_per_model_and_metric"]
    return PrintedFigure.model_validate(
        {
            "kind": kind,
            "candidate": candidate,
            "metric": metric,
            "printed": figure,
            "computed": computed,
            "agrees": abs(figure - computed) <= 0.5000001 * 10**-digits,
            "scores": scores,
            "stated_scores": stated if metric else stated * len(document()["metrics"]),
        }
    )
