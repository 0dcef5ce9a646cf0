"""The rubric by which answers are scored: read from `rubric.toml`, the one versioned place."""

import tomllib
from functools import cache
from importlib.resources import files
from math import isclose
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from replybench.errors import InvalidInput

Language = Literal["en", "uk"]


class MetricText(BaseModel):
    """A metric's words in one language; `scale[0]` describes the lowest score."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    description: str
    scale: tuple[str, ...]


class Metric(BaseModel):
    """One of the things that a rater scores, with its share of the weighted score."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    key: str
    weight: float = Field(gt=0, le=1)
    en: MetricText
    uk: MetricText

    def text(self, language: Language) -> MetricText:
        """Return the metric's words in `language`."""
        return self.uk if language == "uk" else self.en


class Rubric(BaseModel):
    """All metrics; weights add up to one; scores run from `lowest` to `highest`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    version: int
    lowest: int
    highest: int
    positive_from: int
    metrics: tuple[Metric, ...]

    @model_validator(mode="after")
    def _consistent(self) -> "Rubric":
        if not isclose(sum(metric.weight for metric in self.metrics), 1.0):
            raise ValueError("the weights of the metrics must add up to 1")
        steps = self.highest - self.lowest + 1
        for metric in self.metrics:
            if len(metric.en.scale) != steps or len(metric.uk.scale) != steps:
                raise ValueError(f"metric '{metric.key}' needs {steps} scale texts in each language")
        return self

    @property
    def keys(self) -> tuple[str, ...]:
        """The metrics' keys, in the order in which they are shown."""
        return tuple(metric.key for metric in self.metrics)

    @property
    def weights(self) -> dict[str, float]:
        """Metric key → weight."""
        return {metric.key: metric.weight for metric in self.metrics}

    def check(self, scores: dict[str, int]) -> None:
        """Raise InvalidInput, naming the metric, unless `scores` has every metric within the scale."""
        missing = [key for key in self.keys if key not in scores]
        if missing:
            raise InvalidInput(f"No score for {', '.join(missing)}. Every metric needs one; nothing was stored.")
        unknown = [key for key in scores if key not in self.keys]
        if unknown:
            raise InvalidInput(f"Unknown metric {', '.join(unknown)}. The metrics are {', '.join(self.keys)}.")
        for key, score in scores.items():
            if not self.lowest <= score <= self.highest:
                raise InvalidInput(f"The score for {key} must be from {self.lowest} to {self.highest}.")

    def weighted(self, means: dict[str, float]) -> float:
        """Return the weighted score: the sum over metrics of weight times mean."""
        return sum(metric.weight * means[metric.key] for metric in self.metrics)


@cache
def rubric() -> Rubric:
    """Return the rubric in force."""
    return Rubric.model_validate(tomllib.loads((files("replybench") / "rubric.toml").read_text("utf-8")))
