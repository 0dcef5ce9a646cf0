"""Answers by script: for tests, and for working on the console without a model.

A candidate's `script` is a TOML table in a string, for example::

    script = '''
    text = "Hello, thanks for writing …"   # or a list, one is chosen by the ticket's length
    delay_s = 0.2        # before the first piece
    chars_per_s = 400
    fail_after = 40      # characters, then it fails
    error = "The provider answered 500."
    '''

Unknown keys are refused. `{subject}` in a text becomes the ticket's subject.
"""

import asyncio
import tomllib
from collections.abc import AsyncGenerator, Iterable

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from backend.engines.base import EngineFailure, EngineInfo, Finished, Job
from replybench.errors import ConfigError
from replybench.lineups import Candidate


class Script(BaseModel):
    """What to say and how."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    text: str | list[str] = "Hello, thank you for writing."
    delay_s: float = Field(default=0.0, ge=0)
    chars_per_s: float = Field(default=400.0, gt=0)
    piece: int = Field(default=4, ge=1)
    fail_after: int | None = Field(default=None, ge=0)
    fail_times: int | None = Field(default=None, ge=0)
    error: str = "The script says that this fails."
    hang_after: int | None = Field(default=None, ge=0)


class ScriptedEngine:
    """One for all scripted candidates of a lineup."""

    def __init__(self, candidates: Iterable[Candidate]) -> None:
        self._scripts = {candidate.key: _read(candidate) for candidate in candidates}
        self._failed: dict[str, int] = {}

    async def start(self) -> None:
        """Nothing to load."""

    async def stream(self, job: Job) -> AsyncGenerator[str | Finished, None]:
        """Say what the script says."""
        script = self._scripts[job.candidate.key]
        text = self._text(script, job)
        fails_at = self._fails_at(script, job.candidate.key)
        await asyncio.sleep(script.delay_s)
        for start in range(0, len(text), script.piece):
            if fails_at is not None and start >= fails_at:
                raise EngineFailure(script.error, reason="scripted")
            if script.hang_after is not None and start >= script.hang_after:
                await asyncio.Event().wait()
            yield text[start : start + script.piece]
            await asyncio.sleep(script.piece / script.chars_per_s)
        if fails_at is not None:
            raise EngineFailure(script.error, reason="scripted")
        yield Finished("stop", len(job.turns[-1].text.split()), len(text.split()))

    def describe(self) -> EngineInfo:
        """It has no model."""
        return EngineInfo("scripted", "none", None, tuple(self._scripts))

    async def close(self) -> None:
        """Nothing to give back."""

    def _fails_at(self, script: Script, key: str) -> int | None:
        if script.fail_after is None:
            return None
        self._failed[key] = self._failed.get(key, 0) + 1
        if script.fail_times is not None and self._failed[key] > script.fail_times:
            return None
        return script.fail_after

    @staticmethod
    def _text(script: Script, job: Job) -> str:
        text = script.text
        if isinstance(text, list):
            text = text[len(job.turns[-1].text) % len(text)]
        return text.replace("{subject}", job.subject)


def _read(candidate: Candidate) -> Script:
    try:
        return Script.model_validate(tomllib.loads(candidate.script))
    except (tomllib.TOMLDecodeError, ValidationError) as error:
        raise ConfigError(f"candidate '{candidate.key}': its script cannot be read: {error}") from error
