"""A recipe: one YAML file that decides a training run. Unknown keys are refused, with the nearest valid name."""

import difflib
import re
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from replybench.errors import ConfigError
from training.dataset import Outcome

Kind = Literal["sft", "dpo", "kto"]
Method = Literal["full", "lora", "qlora"]
Schedule = Literal["linear", "cosine", "constant", "constant_with_warmup"]
Optimizer = Literal["adamw", "paged_adamw", "paged_adamw_8bit", "adafactor"]
Dtype = Literal["bfloat16", "float16", "float32"]
Share = Annotated[float, Field(ge=0, lt=1)]


class _Part(BaseModel):
    """A part of a recipe; unknown keys are a mistake."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class Data(_Part):
    """What is learnt from.

    Attributes:
        path: a prepared folder (`replybench prepare`), or for DPO and KTO a preferences folder.
        use: articles, threads, or both: the study found that this matters.
        outcomes: threads that ended like this are imitated; failures are for KTO.
        languages: ISO 639-1 codes; all if not given.
        max_tokens: longer texts are cut into windows of this size; windows without a target are left out.
        packing: several texts in one row, blind to each other. Best with FlashAttention; without it rows
            grouped by length are as fast.
        heldout_limit: judge by at most so many held-out threads (the first ones, by id).
    """

    path: Path
    use: tuple[Literal["articles", "threads"], ...] = Field(default=("articles", "threads"), min_length=1)
    outcomes: tuple[Outcome, ...] = Field(default=("success", "unknown"), min_length=1)
    languages: tuple[str, ...] | None = None
    max_tokens: int = Field(default=1024, ge=16)
    packing: bool = False
    heldout_limit: int | None = Field(default=None, ge=1)


class Lora(_Part):
    """The adapter. Its output is scaled by alpha / rank.

    `target_modules`: ``attention`` (query and value, as in the LoRA paper), ``all-linear``, or names.
    """

    rank: int = Field(default=16, ge=1, le=1024)
    alpha: int = Field(default=32, ge=1)
    dropout: Share = 0.0
    target_modules: Literal["attention", "all-linear"] | tuple[str, ...] = "all-linear"
    rank_stabilised: bool = False


class Quantisation(_Part):
    """How the frozen base is stored (bitsandbytes). `type`, `double_quant` are for 4 bits."""

    bits: Literal[4, 8] = 4
    type: Literal["nf4", "fp4"] = "nf4"
    double_quant: bool = True
    compute_dtype: Dtype = "bfloat16"


class Optim(_Part):
    """The optimizer and its schedule."""

    name: Optimizer = "adamw"
    learning_rate: float = Field(default=2e-4, gt=0)
    schedule: Schedule = "cosine"
    warmup_share: Share = 0.03
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)


class Batch(_Part):
    """`rows` make one step; `rows_at_once` of them are in memory together on each device.

    With several processes a step still has `rows` rows, so the same recipe gives the same losses.
    """

    rows: int = Field(default=16, ge=1)
    rows_at_once: int = Field(default=4, ge=1)
    group_by_length: bool = True

    @model_validator(mode="after")
    def _rows_divide(self) -> "Batch":
        if self.rows % self.rows_at_once:
            raise ValueError(f"rows ({self.rows}) must be a multiple of rows_at_once ({self.rows_at_once})")
        return self


class Length(_Part):
    """How long to train: `epochs`, unless `max_steps` ends it earlier."""

    epochs: float = Field(default=3, gt=0)
    max_steps: int | None = Field(default=None, ge=1)


class EarlyStop(_Part):
    """Stop when the held-out loss is flat: `patience` judgements in a row without `min_gain` over the best before."""

    patience: int = Field(default=3, ge=1)
    min_gain: float = Field(default=0.005, ge=0)


class Evaluation(_Part):
    """Judging. `every_steps` also is how often a checkpoint is written; `answers` held-out tickets are answered."""

    every_steps: int = Field(default=50, ge=1)
    early_stop: EarlyStop | None = EarlyStop()
    answers: int = Field(default=20, ge=0)
    max_new_tokens: int = Field(default=192, ge=8)
    keep_checkpoints: int = Field(default=2, ge=1)


class Preference(_Part):
    """DPO and KTO. `beta` holds the model near its start; `adapter` is the one that the next grows from."""

    beta: float = Field(default=0.1, gt=0)
    adapter: str | None = None
    heldout_share: float = Field(default=0.15, gt=0, lt=1)
    loss: Literal["sigmoid", "ipo", "robust"] = "sigmoid"


class Recipe(_Part):
    """Everything that decides a run.

    Attributes:
        name: of the run, if none is given on the command line.
        base: a directory, a Hub id, or ``embedded`` for the model that ships.
        revision: the Hub's commit of `base`; write one down for a run that others shall repeat.
        dtype: of the base's weights when it is not quantised, and of the adapter's file.
        report_to: trackers that the team already uses (tensorboard, wandb, mlflow, trackio, …).
    """

    name: str = Field(pattern=r"^[a-z0-9][a-z0-9._-]*$", max_length=96)
    description: str = ""
    kind: Kind = "sft"
    base: str
    revision: str | None = None
    dtype: Dtype = "bfloat16"
    method: Method = "lora"
    data: Data
    lora: Lora = Lora()
    quantisation: Quantisation = Quantisation()
    optimizer: Optim = Optim()
    batch: Batch = Batch()
    length: Length = Length()
    evaluation: Evaluation = Evaluation()
    preference: Preference = Preference()
    gradient_checkpointing: bool = False
    seed: int = 20240501
    report_to: tuple[str, ...] = ()

    @model_validator(mode="after")
    def _parts_fit(self) -> "Recipe":
        if self.kind != "sft" and self.method == "full":
            raise ValueError("dpo and kto train an adapter: set method to lora or qlora")
        if self.kind != "sft" and self.data.packing:
            raise ValueError("packing is for kind: sft")
        return self

    @property
    def quantised(self) -> bool:
        """Whether the base is stored in few bits."""
        return self.method == "qlora"


def load_recipe(path: Path) -> Recipe:
    """Read a recipe; a relative `data.path` is taken from the working directory, as on any command line.

    Raises:
        ConfigError: no such file, not YAML, an unknown key (with the nearest valid one), a value that cannot be.
    """
    try:
        document = yaml.safe_load(path.read_text("utf-8"))
    except FileNotFoundError as error:
        raise ConfigError(
            f"There is no recipe {path}. Those that come with Replybench are in training/recipes/."
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not valid YAML: {error}") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path} must be a mapping of keys, such as 'base: embedded'.")
    return parse_recipe(document, str(path))


def parse_recipe(document: dict[str, Any], source: str) -> Recipe:
    """Check a recipe that was read from `source` (named in errors)."""
    try:
        return Recipe.model_validate(document)
    except ValidationError as error:
        problems = "; ".join(_problem(item["loc"], item["type"], item["msg"]) for item in error.errors())
        raise ConfigError(f"{source}: {problems}") from error


def dump_recipe(recipe: Recipe) -> str:
    """Return the resolved recipe (every default written out) as YAML that `load_recipe` reads again."""
    return yaml.safe_dump(recipe.model_dump(mode="json"), sort_keys=False, allow_unicode=True)


def _problem(location: tuple[int | str, ...], kind: str, message: str) -> str:
    where = ".".join(map(str, location)) or "recipe"
    if kind != "extra_forbidden":
        return f"{where}: {re.sub(r'^Value error, ', '', message)}"
    parents, key = location[:-1], str(location[-1])
    valid = _names_at(parents)
    elsewhere = [name for name in _all_names() if name.endswith(f".{key}")]
    near = elsewhere or difflib.get_close_matches(key, valid, n=1, cutoff=0.5)
    hint = f" Did you mean '{near[0]}'?" if near else f" Valid are: {', '.join(valid)}."
    return f"there is no key '{where}'.{hint}"


def _names_at(parents: tuple[int | str, ...]) -> list[str]:
    model: type[BaseModel] = Recipe
    for parent in parents:
        field = model.model_fields.get(str(parent))
        inner = _model_of(field.annotation) if field else None
        if inner is None:
            break
        model = inner
    return list(model.model_fields)


def _model_of(annotation: Any) -> type[BaseModel] | None:
    """Return the model in `Part` or `Part | None`."""
    for part in (annotation, *get_args(annotation)):
        if isinstance(part, type) and issubclass(part, BaseModel):
            return part
    return None


def _all_names(model: type[BaseModel] = Recipe, prefix: str = "") -> list[str]:
    names = []
    for name, field in model.model_fields.items():
        inner = _model_of(field.annotation)
        names += [f"{prefix}{name}", *(_all_names(inner, f"{prefix}{name}.") if inner else [])]
    return names
