"""A base in memory once, with all its adapters on it."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import nn

from backend.engines import loading
from backend.engines.lora_batch import fuse_adapters
from backend.engines.rows import ChooseByRow, Row, WatchRows, is_choosy
from backend.engines.threads import processor_threads
from backend.settings import Settings
from replybench.embedded_model import EMBEDDED, ensure_embedded_model
from replybench.errors import ConfigError
from replybench.lineups import Candidate

#: PEFT's name for a row of a batch that no adapter touches.
BASE = "__base__"
_MIB = 2**20


class LocalModel:
    """Loaded by `load`; used by one thread."""

    def __init__(self, model: Any, tokenizer: Any, adapters: dict[str, str]) -> None:
        """`adapters`: where an adapter was loaded from → its name in the model."""
        self.model = model
        self.tokenizer = tokenizer
        self.adapters = adapters
        ends = model.generation_config.eos_token_id
        self.ends = frozenset([*(ends if isinstance(ends, list) else [ends]), tokenizer.eos_token_id]) - {None}
        self.pad = tokenizer.pad_token_id if tokenizer.pad_token_id is not None else tokenizer.eos_token_id
        # What the base's authors recommend (sampling, penalties) must not slip into what a lineup compares.
        model.generation_config = self._settings()
        if adapters:
            model.get_base_model().generation_config = model.generation_config

    @property
    def context_length(self) -> int:
        """How many tokens the base reads and writes in all."""
        return int(self.model.config.max_position_embeddings)

    @property
    def device(self) -> torch.device:
        """Where it runs."""
        device: torch.device = self.model.device
        return device

    def adapter_name(self, candidate: Candidate) -> str:
        """Return the name of a candidate's adapter in the model."""
        return self.adapters[candidate.adapter] if candidate.adapter else BASE

    def memory_mib(self) -> tuple[float, dict[str, float]]:
        """Return MiB of the base, and of each adapter by where it was loaded from."""
        sizes = dict.fromkeys(self.adapters.values(), 0)
        for name, parameter in self.model.named_parameters():
            owner = next((adapter for adapter in sizes if f".{adapter}." in name), None)
            if owner is not None:
                sizes[owner] += parameter.numel() * parameter.element_size()
        base = self.model.get_memory_footprint() - sum(sizes.values())
        return base / _MIB, {origin: sizes[name] / _MIB for origin, name in self.adapters.items()}

    def write(self, rows: Sequence[Row], watch: WatchRows) -> None:
        """Let the rows write on together, each with its own adapter, until `watch` ends it."""
        from transformers import LogitsProcessorList, StoppingCriteriaList

        contexts = [row.context for row in rows]
        width = max(map(len, contexts))
        padded = [[self.pad] * (width - len(ids)) + ids for ids in contexts]
        seen = [[0] * (width - len(ids)) + [1] * len(ids) for ids in contexts]
        processors = LogitsProcessorList()
        if any(map(is_choosy, rows)):
            processors.append(ChooseByRow(rows, [width - len(ids) for ids in contexts]))
        config = self._settings(
            eos_token_id=sorted(self.ends) or None, max_new_tokens=max(row.remaining for row in rows), do_sample=False
        )
        mixed = {"adapter_names": [row.adapter for row in rows]} if self.adapters else {}
        with torch.inference_mode():
            self.model.generate(
                input_ids=torch.tensor(padded, device=self.device),
                attention_mask=torch.tensor(seen, device=self.device),
                generation_config=config,
                logits_processor=processors,
                stopping_criteria=StoppingCriteriaList([watch]),
                **mixed,
            )

    def _settings(self, **settings: Any) -> Any:
        from transformers import GenerationConfig

        return GenerationConfig(pad_token_id=self.pad, **settings)  # type: ignore[no-untyped-call]  # untyped there


def load(candidates: Sequence[Candidate], settings: Settings, progress: Any) -> LocalModel:
    """Load the base that these candidates share, and their adapters. Several threads may do so at once.

    Raises:
        ConfigError: something of it is not there or does not fit; names it.
    """
    first = candidates[0]
    device = _device(settings, first)
    torch.set_num_threads(settings.threads or min(torch.get_num_threads(), processor_threads()))
    if first.base == EMBEDDED:
        base, revision = str(ensure_embedded_model(settings.model_cache_dir, progress)), None
    else:
        base, revision = str(first.base), first.revision
    files = loading.weight_files(base, revision)
    with loading.MEMORY[device].of(loading.bytes_to_load(files, first)):
        loading.read_ahead(files or ())
        with loading.MAKING:
            return _put_together(base, revision, candidates, device)


def _put_together(base: str, revision: str | None, candidates: Sequence[Candidate], device: str) -> LocalModel:
    from transformers import AutoTokenizer

    first = candidates[0]
    try:
        tokenizer: Any = AutoTokenizer.from_pretrained(base, revision=revision)
        model = _load_base(base, revision, first, device)
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"candidate '{first.key}': its base '{first.base}' could not be loaded ({type(error).__name__}). "
            "Check that it is a directory with a model or the id of one on the Hub that this machine can reach."
        ) from error
    adapters = _adapter_names(candidates)
    if adapters:
        model = _with_adapters(model, adapters)
        fuse_adapters(model)
    model.eval()
    return LocalModel(model, tokenizer, adapters)


def _device(settings: Settings, candidate: Candidate) -> str:
    wanted = settings.device
    if wanted == "auto":
        wanted = "cuda" if torch.cuda.is_available() else "cpu"
    if wanted == "cuda" and not torch.cuda.is_available():
        raise ConfigError("DEVICE is 'cuda', but PyTorch finds no GPU. Set it to 'auto' or 'cpu'.")
    if wanted == "cpu" and candidate.quantisation != "none":
        raise ConfigError(
            f"candidate '{candidate.key}': quantisation '{candidate.quantisation}' needs a GPU, and there is none. "
            'Set quantisation = "none", or serve this lineup on a machine with one.'
        )
    return wanted


def _load_base(base: str, revision: str | None, candidate: Candidate, device: str) -> Any:
    from transformers import AutoModelForCausalLM

    dtype = torch.bfloat16 if candidate.dtype == "auto" else getattr(torch, candidate.dtype)
    options: dict[str, Any] = {"revision": revision, "dtype": dtype}
    if candidate.quantisation != "none":
        options["quantization_config"] = _quantisation(candidate, dtype)
    if device == "cuda":
        options["device_map"] = {"": 0}
    return AutoModelForCausalLM.from_pretrained(base, **options)


def _quantisation(candidate: Candidate, dtype: torch.dtype) -> Any:
    from transformers import BitsAndBytesConfig

    if candidate.quantisation == "int8":
        return BitsAndBytesConfig(load_in_8bit=True)  # type: ignore[no-untyped-call]  # untyped there
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]  # untyped there
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=dtype,
    )


def _adapter_names(candidates: Sequence[Candidate]) -> dict[str, str]:
    origins = dict.fromkeys(candidate.adapter for candidate in candidates if candidate.adapter)
    return {origin: f"adapter{index}" for index, origin in enumerate(origins)}


def _with_adapters(model: nn.Module, adapters: dict[str, str]) -> Any:
    from peft import PeftConfig, PeftModel

    wrapped: Any = None
    for origin, name in adapters.items():
        try:
            if wrapped is None:
                config = PeftConfig.from_pretrained(origin)
                # The adapters take the base's dtype: mixed dtypes would cost a conversion in every layer.
                wrapped = PeftModel(model, config, adapter_name=name, autocast_adapter_dtype=False)
            loaded = wrapped.load_adapter(origin, adapter_name=name, autocast_adapter_dtype=False)
        except (OSError, ValueError, RuntimeError, KeyError) as error:
            raise _misfit(origin) from error
        # PEFT only warns of these, and then answers with an adapter that is half random.
        if loaded.missing_keys or loaded.unexpected_keys:
            raise _misfit(origin)
    return wrapped


def _misfit(origin: str) -> ConfigError:
    shown = Path(origin).name if origin.startswith("/") else origin
    return ConfigError(
        f"The adapter '{shown}' does not fit its base, or is not complete. Check 'base' and 'adapter' in the lineup."
    )
