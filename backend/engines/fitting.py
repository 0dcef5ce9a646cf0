"""The one rule of what is left out of a ticket that is longer than a model reads.

The subject and the newest turn stay. The oldest turns go first, then the last sources, then the middle of the
newest turn (its beginning and its end say most), at last the middle of the subject.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Generic, TypeVar

from backend.engines.base import Job
from replybench.errors import ConfigError
from replybench.prompts import Turn

_GAP = " […] "
_Unit = TypeVar("_Unit")


@dataclass(frozen=True, slots=True)
class Ruler(Generic[_Unit]):
    """How prompts are measured: in tokens where the tokenizer is at hand, else in characters.

    Attributes:
        measure: job → length of its whole prompt, in units.
        split: text → its units.
        join: units → text.
    """

    measure: Callable[[Job], int]
    split: Callable[[str], Sequence[_Unit]]
    join: Callable[[Sequence[_Unit]], str]


def fit(job: Job, limit: int, ruler: Ruler[_Unit]) -> tuple[Job, bool]:
    """Return a job whose prompt has at most `limit` units, and whether something was left out for that.

    Raises:
        ConfigError: not even an empty ticket fits (a system prompt longer than the limit).
    """
    if ruler.measure(job) <= limit:
        return job, False
    job = _without_oldest_turns(job, limit, ruler)
    while job.sources and ruler.measure(job) > limit:
        job = replace(job, sources=job.sources[:-1])
    job = _shortened(job, limit, ruler, job.turns[-1].text, _with_text)
    job = _shortened(job, limit, ruler, job.subject, lambda changed, text: replace(changed, subject=text))
    if ruler.measure(job) > limit:
        raise ConfigError(
            f"candidate '{job.candidate.key}': its prompt alone is longer than its limit. "
            "Shorten 'system', or raise 'max_prompt_tokens'."
        )
    return job, True


def _without_oldest_turns(job: Job, limit: int, ruler: Ruler[_Unit]) -> Job:
    while len(job.turns) > 1 and ruler.measure(job) > limit:
        left = job.turns[1:]
        while len(left) > 1 and left[0].role == "agent":  # a conversation begins with the customer
            left = left[1:]
        job = replace(job, turns=left)
    return job


def _shortened(job: Job, limit: int, ruler: Ruler[_Unit], text: str, put: Callable[[Job, str], Job]) -> Job:
    """Cut the middle out of `text` until all fits, or nothing of it is left."""
    units = ruler.split(text)
    room = len(units)
    while room > 0 and (excess := ruler.measure(job) - limit) > 0:
        # Joining and splitting may add a unit or two, so it is measured again and may take a few rounds.
        room = max(0, room - max(excess, 8))
        job = put(job, _without_middle(units, room, ruler))
    return job


def _without_middle(units: Sequence[_Unit], room: int, ruler: Ruler[_Unit]) -> str:
    if room < 2:
        return ""
    head, tail = units[: (room + 1) // 2], units[len(units) - room // 2 :]
    # Half a character at the seam is a replacement sign; it says nothing.
    begin, end = ruler.join(head).rstrip("\ufffd"), ruler.join(tail).lstrip("\ufffd")
    return f"{begin.rstrip()}{_GAP}{end.lstrip()}"


def _with_text(job: Job, text: str) -> Job:
    return replace(job, turns=(*job.turns[:-1], Turn(job.turns[-1].role, text)))
