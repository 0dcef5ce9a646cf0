"""What a benchmark hands back, and how it is told.

A module of this package that has `run() -> list[Figure]` is a benchmark; its docstring's first line is its title.
`python -m benchmarks` finds it by itself.
"""

import importlib
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class Figure:
    """One ratio against a peer (or against ourselves done plainly), measured in the same run.

    Attributes:
        name: what is divided by what, in words.
        ratio: what was measured. Ratios travel between machines; absolute values do not.
        target: what it has to reach; None where nothing was promised.
        detail: the absolute values behind it, name → number (with its unit in the name) or text.
        better: whether the ratio has to be at least (``higher``) or at most (``lower``) the target.
    """

    name: str
    ratio: float
    target: float | None = None
    detail: dict[str, Any] = field(default_factory=dict)
    better: Literal["higher", "lower"] = "higher"

    @property
    def is_met(self) -> bool:
        """Whether the target is reached (true if there is none)."""
        if self.target is None:
            return True
        return self.ratio >= self.target if self.better == "higher" else self.ratio <= self.target

    @property
    def aim(self) -> str:
        """The target in words."""
        if self.target is None:
            return "–"
        return f"at {'least' if self.better == 'higher' else 'most'} {self.target:g}"


def in_turn(rounds: int, **actions: Callable[[], float]) -> dict[str, list[float]]:
    """Run the actions in turn, `rounds` times, and return what each returned.

    Other work on the machine then falls on all of them alike. Divide medians, or see `median_ratio`.
    """
    values: dict[str, list[float]] = {name: [] for name in actions}
    for _ in range(rounds):
        for name, action in actions.items():
            values[name].append(action())
    return values


def median_ratio(numerators: Sequence[float], denominators: Sequence[float]) -> float:
    """Return the median of the rounds' own ratios, so that a slow minute does not decide."""
    return statistics.median(a / b for a, b in zip(numerators, denominators, strict=True))


def seconds(action: Callable[[], object]) -> float:
    """Return how long `action` took."""
    start = time.perf_counter()
    action()
    return time.perf_counter() - start


def as_markdown(figures: Sequence[Figure]) -> str:
    """Return the figures as a Markdown table, absolute values in its last column."""
    lines = ["| what | ratio | target | met | behind it |", "|---|---:|---|---|---|"]
    for figure in figures:
        met = "–" if figure.target is None else "yes" if figure.is_met else "**no**"
        detail = "; ".join(f"{name} {_plain(value)}" for name, value in figure.detail.items())
        lines.append(f"| {figure.name} | {figure.ratio:.3g} | {figure.aim} | {met} | {detail} |")
    return "\n".join(lines)


def _plain(value: object) -> str:
    return f"{value:.4g}" if isinstance(value, float) else str(value)


def run_one(name: str) -> list[Figure]:
    """Run one benchmark (here and not in `__main__`, which a new process cannot import again)."""
    figures: list[Figure] = importlib.import_module(f"benchmarks.{name}").run()
    return figures
