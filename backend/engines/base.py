"""What an engine is: it takes jobs, and streams what a candidate writes."""

from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

from replybench.errors import ReplybenchError
from replybench.lineups import Candidate, Generation
from replybench.prompts import Turn, stop_markers

Cut = Literal["prompt", "output"]


@dataclass(frozen=True, slots=True)
class Job:
    """One ticket for one candidate.

    Attributes:
        turns: the conversation, oldest first; the last turn is the customer's.
        sources: plain texts that the answer should rest on.
        system: in the place of the candidate's own system prompt (chat format only), if not None.
        generation: in the place of the candidate's own settings, if not None.
        stop: texts at which to stop, besides the format's own markers.
    """

    candidate: Candidate
    subject: str
    turns: tuple[Turn, ...]
    sources: tuple[str, ...] = ()
    system: str | None = None
    generation: Generation | None = None
    stop: tuple[str, ...] = ()

    @property
    def settings(self) -> Generation:
        """How this job is to be written."""
        return self.generation or self.candidate.generation

    @property
    def markers(self) -> tuple[str, ...]:
        """Every text at which the answer ends; none of them is shown."""
        return (*stop_markers(self.candidate.prompt), *self.stop)


@dataclass(frozen=True, slots=True)
class Finished:
    """How a stream ended well: by itself or a stop marker (``stop``), or at its limit (``length``)."""

    reason: Literal["stop", "length"]
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cut: tuple[Cut, ...] = ()


@dataclass(frozen=True, slots=True)
class EngineInfo:
    """What an engine tells of itself, for `replybench models` and readiness.

    Attributes:
        title: the model or server that it speaks for.
        device: where it runs.
        memory_mib: of the base.
        adapters: name → MiB.
        candidates: keys of the candidates that it answers for.
        waiting: jobs in its queue.
        doing: what keeps it from being ready, in words; empty once it can answer.
    """

    title: str
    device: str
    memory_mib: float | None
    candidates: tuple[str, ...]
    adapters: dict[str, float] = field(default_factory=dict)
    waiting: int = 0
    doing: str = ""


class Engine(Protocol):
    """One per base or server. It may be asked many things at once; how it orders them is its own matter."""

    async def start(self) -> None:
        """Load what it needs and warm up; raise a ReplybenchError that says what is missing."""

    def stream(self, job: Job) -> AsyncGenerator[str | Finished, None]:
        """Yield pieces of raw text, then one `Finished`. Closing the iterator cancels the job at once.

        Raises:
            Busy: no room in the queue.
            EngineFailure: the model or the server failed.
        """

    def describe(self) -> EngineInfo:
        """Return what is loaded and how busy it is."""

    async def close(self) -> None:
        """Stop what runs and give everything back."""


class EngineFailure(ReplybenchError):
    """A candidate could not answer; the message is for people and names neither prompt nor key.

    `reason` becomes the answer's error code.
    """

    status_code: ClassVar[int] = 502
    code: ClassVar[str] = "engine_failure"

    def __init__(self, message: str, *, reason: str = "engine_failure", retry_after_s: int | None = None) -> None:
        """`retry_after_s`: when the server said that it can be asked again."""
        super().__init__(message)
        self.reason = reason
        self.retry_after_s = retry_after_s
