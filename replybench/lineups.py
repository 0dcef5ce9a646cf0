"""A lineup is a TOML file of candidates: who answers a ticket, each in its own column.

Adding a model is adding a `[[candidates]]` block. Unknown keys are refused, so that a typing error never
silently changes what is compared.
"""

import tomllib
from collections.abc import Collection
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from replybench.errors import ConfigError
from replybench.prompts import SYSTEM_PROMPT, PromptFormat

Engine = Literal["transformers", "openai", "fast", "scripted"]
#: The longest answer that a candidate may write.
MOST_TOKENS = 4096


class Strict(BaseModel):
    """A model that refuses unknown keys and cannot be changed."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Generation(Strict):
    """How a candidate writes. Temperature 0 is greedy and deterministic."""

    max_new_tokens: int = Field(default=192, ge=1, le=MOST_TOKENS)
    temperature: float = Field(default=0.0, ge=0, le=2)
    top_p: float = Field(default=1.0, gt=0, le=1)
    repetition_penalty: float = Field(default=1.0, ge=1, le=2)
    no_repeat_ngram_size: int = Field(default=0, ge=0, le=10)
    seed: int | None = None


class Candidate(Strict):
    """One column that can answer a ticket.

    Attributes:
        key: short name within the lineup, used in filters and in the OpenAI-compatible API.
        name: what people read. It always says what the model is; a stand-in is called a stand-in.
        base: model that the engine loads: a directory, a Hub id, or ``embedded`` for the one that is shipped.
        revision: the Hub's commit of `base`, so that a rating knows what exactly it judged.
        adapter: directory or Hub id of a LoRA adapter on `base`.
        model: name of the model at an OpenAI-compatible server (`engine = "openai"`).
        base_url: address of that server; OpenAI's own if not given.
        needs: name of a setting (such as ``openai_api_key``) without which `otherwise` takes this column.
        max_prompt_tokens: the longest prompt; what was cut is said in the answer.
        retrieval: put the best help-centre articles for the ticket into the prompt.
    """

    key: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    name: str = Field(min_length=1)
    engine: Engine
    base: str | None = None
    revision: str | None = None
    adapter: str | None = None
    quantisation: Literal["none", "nf4", "int8"] = "none"
    dtype: Literal["auto", "bfloat16", "float16", "float32"] = "auto"
    model: str | None = None
    base_url: str | None = None
    prompt: PromptFormat = PromptFormat.STUDY
    system: str = SYSTEM_PROMPT
    max_prompt_tokens: int = Field(default=1024, ge=16)
    retrieval: bool = False
    generation: Generation = Generation()
    timeout_s: float = Field(default=120.0, gt=0)
    note: str = ""
    script: str = ""
    needs: str | None = None
    otherwise: "Candidate | None" = None

    @model_validator(mode="after")
    def _engine_has_what_it_needs(self) -> "Candidate":
        if self.engine in {"transformers", "fast"} and not self.base:
            raise ValueError(f"candidate '{self.key}': engine '{self.engine}' needs 'base'")
        if self.engine == "openai" and not self.model:
            raise ValueError(f"candidate '{self.key}': engine 'openai' needs 'model'")
        if self.otherwise and not self.needs:
            raise ValueError(f"candidate '{self.key}': 'otherwise' is only taken when 'needs' names a setting")
        return self


class Lineup(Strict):
    """The candidates that answer side by side.

    `examples` is a JSONL file of {subject, text} that the console offers to try; relative to the file.
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$")
    title: str
    description: str = ""
    examples: Path | None = None
    candidates: tuple[Candidate, ...] = Field(min_length=1, max_length=8)

    @model_validator(mode="after")
    def _keys_differ(self) -> "Lineup":
        keys = [candidate.key for candidate in self.candidates]
        if len(set(keys)) != len(keys):
            raise ValueError("two candidates have the same 'key'")
        return self

    def resolved(self, available: Collection[str]) -> "Lineup":
        """Return the lineup with each `needs`/`otherwise` decided.

        Args:
            available: names of the settings that have a value.
        """
        chosen = []
        for candidate in self.candidates:
            if candidate.needs and candidate.needs not in available and candidate.otherwise:
                candidate = candidate.otherwise
            chosen.append(candidate.model_copy(update={"needs": None, "otherwise": None}))
        return Lineup.model_validate({**self.model_dump(), "candidates": [c.model_dump() for c in chosen]})


def load_lineup(path: Path) -> Lineup:
    """Read a lineup; relative paths in it (adapters, examples) are taken from the file's own directory.

    Raises:
        ConfigError: no such file, not TOML, an unknown key, a missing key: with the file and the key.
    """
    try:
        document = tomllib.loads(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(f"There is no lineup {path}. Set LINEUP to one of the files in lineups/.") from error
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid TOML: {error}") from error
    try:
        lineup = Lineup.model_validate(document)
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc'])) or 'lineup'}: {item['msg']}" for item in error.errors())
        raise ConfigError(f"{path}: {problems}") from error
    return _with_absolute_paths(lineup, path.resolve().parent)


def _with_absolute_paths(lineup: Lineup, root: Path) -> Lineup:
    def absolute(candidate: Candidate) -> Candidate:
        changes: dict[str, object] = {}
        for field in ("base", "adapter"):
            value = getattr(candidate, field)
            if value and value.startswith((".", "/")):
                changes[field] = str((root / value).resolve())
        if candidate.otherwise:
            changes["otherwise"] = absolute(candidate.otherwise)
        return candidate.model_copy(update=changes)

    examples = (root / lineup.examples).resolve() if lineup.examples else None
    candidates = tuple(absolute(candidate) for candidate in lineup.candidates)
    return lineup.model_copy(update={"candidates": candidates, "examples": examples})
