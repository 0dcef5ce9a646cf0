"""Loading what is trained: the base (plain or in few bits), its tokenizer, and the adapter on it."""

import ctypes
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from replybench.embedded_model import EMBEDDED, ensure_embedded_model
from replybench.errors import ConfigError, NotAllowed, ReplybenchError, Unavailable
from training.finetune import processes
from training.finetune.recipe import Recipe
from training.settings import TrainingSettings

if TYPE_CHECKING:
    import torch
    from peft import PeftModel
    from transformers import PreTrainedModel, PreTrainedTokenizerBase

Say = Callable[[str], None]

#: ``attention`` in a recipe: query and value projections, by architecture (`model_type`).
ATTENTION_MODULES = {
    "llama": ("q_proj", "v_proj"),
    "gptj": ("q_proj", "v_proj"),
    "mistral": ("q_proj", "v_proj"),
    "qwen2": ("q_proj", "v_proj"),
    "qwen3": ("q_proj", "v_proj"),
    "gemma2": ("q_proj", "v_proj"),
}


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a run trains. `location` is the directory or Hub id that the base was loaded from."""

    model: "PreTrainedModel | PeftModel"
    tokenizer: "PreTrainedTokenizerBase"
    location: str


def locate_base(recipe: Recipe, settings: TrainingSettings, say: Say) -> str:
    """Return the directory or Hub id of the recipe's base; fetches the embedded model when that is meant."""
    if recipe.base == EMBEDDED:
        return str(ensure_embedded_model(settings.model_cache_dir, say))
    return recipe.base


def load_tokenizer(location: str, recipe: Recipe, settings: TrainingSettings) -> "PreTrainedTokenizerBase":
    """Return the base's tokenizer; one without a padding token (Llama 2, GPT-J) pads with its end of text."""
    from transformers import AutoTokenizer

    with hub_errors_told(recipe.base):
        tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(
            location, revision=recipe.revision, token=_token(settings)
        )
    if tokenizer.eos_token_id is None:
        raise ConfigError(f"The tokenizer of {recipe.base} has no end-of-text token; a model could not learn to stop.")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_base(location: str, recipe: Recipe, settings: TrainingSettings) -> "PreTrainedModel":
    """Return the base, frozen in few bits for QLoRA, on this process's device."""
    import torch
    from transformers import AutoModelForCausalLM

    keep_freed_memory()
    options: dict[str, Any] = {
        "revision": recipe.revision,
        "token": _token(settings),
        "dtype": getattr(torch, recipe.dtype),
        "device_map": {"": device()},
    }
    if recipe.quantised:
        options["quantization_config"] = quantisation_config(recipe)
        options["dtype"] = getattr(torch, recipe.quantisation.compute_dtype)
    with hub_errors_told(recipe.base):
        model: PreTrainedModel = AutoModelForCausalLM.from_pretrained(location, **options)
    model.config.use_cache = False
    if recipe.quantised:
        keep_training_layout(model)
    return model


def load_for_training(recipe: Recipe, settings: TrainingSettings, say: Say) -> Loaded:
    """Load base and tokenizer and put a new adapter on it (or none for `method: full`)."""
    location = locate_base(recipe, settings, say)
    tokenizer = load_tokenizer(location, recipe, settings)
    model = load_base(location, recipe, settings)
    if recipe.method == "full":
        return Loaded(model, tokenizer, location)
    if recipe.preference.adapter is not None:
        return Loaded(with_earlier_adapter(model, recipe.preference.adapter, settings), tokenizer, location)
    return Loaded(with_adapter(model, recipe), tokenizer, location)


def with_adapter(model: "PreTrainedModel", recipe: Recipe) -> "PeftModel":
    """Put a new LoRA adapter on a base; nothing but the adapter is trained. The adapter is in float32."""
    from peft import LoraConfig, get_peft_model
    from transformers import set_seed

    set_seed(recipe.seed)  # the adapter's first weights are random
    for parameter in model.parameters():
        parameter.requires_grad = False
    lora = recipe.lora
    config = LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=target_modules(model, recipe),
        use_rslora=lora.rank_stabilised,
        bias="none",
        task_type="CAUSAL_LM",
    )
    try:
        adapted: PeftModel = get_peft_model(model, config)
    except ValueError as error:
        raise ConfigError(f"lora.target_modules does not fit {recipe.base}: {error}") from error
    return adapted


def with_earlier_adapter(model: "PreTrainedModel", adapter: str, settings: TrainingSettings) -> "PeftModel":
    """Put an adapter that was trained before on its base, to be trained further."""
    from peft import PeftModel

    with hub_errors_told(adapter):
        adapted: PeftModel = PeftModel.from_pretrained(model, adapter, is_trainable=True, token=_token(settings))
    return adapted


def target_modules(model: "PreTrainedModel", recipe: Recipe) -> str | list[str]:
    """Return the layers that get an adapter, in PEFT's form."""
    chosen = recipe.lora.target_modules
    if chosen == "all-linear":
        return "all-linear"
    if chosen == "attention":
        kind = model.config.model_type
        if kind not in ATTENTION_MODULES:
            raise ConfigError(
                f"lora.target_modules: 'attention' is not known for {kind} models. Name the layers, or use all-linear."
            )
        return list(ATTENTION_MODULES[kind])
    return list(chosen)


def quantisation_config(recipe: Recipe) -> Any:
    """Return the recipe's quantisation in Transformers' form."""
    import torch
    from transformers import BitsAndBytesConfig

    chosen = recipe.quantisation
    if chosen.bits == 8:
        return BitsAndBytesConfig(load_in_8bit=True)  # type: ignore[no-untyped-call]  # as it comes
    return BitsAndBytesConfig(  # type: ignore[no-untyped-call]  # as it comes
        load_in_4bit=True,
        bnb_4bit_quant_type=chosen.type,
        bnb_4bit_use_double_quant=chosen.double_quant,
        bnb_4bit_compute_dtype=getattr(torch, chosen.compute_dtype),
    )


def keep_training_layout(model: "torch.nn.Module") -> int:
    """Keep 4-bit weights in the layout whose gradients are right, and return how many layers that concerns.

    bitsandbytes 0.50 on a CPU with AVX512-BF16 repacks a layer's weights at the first forward in eval mode, for
    speed. The backward pass does not know that layout, so every gradient after an evaluation in mid-training would be
    silently wrong (a tenth of the norm, nearly no correlation), and `.train()` does not undo it.
    """
    layers = [module for module in model.modules() if hasattr(module, "support_avx512bf16_for_cpu")]
    for layer in layers:
        layer.support_avx512bf16_for_cpu = False  # type: ignore[assignment]  # bitsandbytes' own flag
    return len(layers)


def device() -> str:
    """Return this process's device: its own GPU under a launcher, the first one else, or the CPU."""
    import torch

    return str(processes.state().device) if torch.cuda.is_available() else "cpu"


def keep_freed_memory() -> None:
    """Let glibc keep freed memory for the next micro-batch, where there is a glibc.

    A training step on a CPU frees and takes the same few hundred MiB over and over. By default glibc gives them back to
    the kernel, which hands them out again zeroed page by page. `return_holes` keeps the heap from growing by it.
    """
    m_trim_threshold, m_top_pad, m_mmap_max = -1, -2, -4  # malloc.h
    if libc := _glibc():
        libc.mallopt(m_mmap_max, 0)
        libc.mallopt(m_trim_threshold, 2**31 - 1)
        libc.mallopt(m_top_pad, 64 * 2**20)


def return_holes() -> None:
    """Give the pages of the heap that hold nothing back to the kernel, where there is a glibc.

    Micro-batches of ever other lengths leave holes that fit no later block: without this a run's memory doubles within
    some fifty steps. Called once a step: the pages are zeroed once, and not in each micro-batch.
    """
    if libc := _glibc():
        libc.malloc_trim(0)


def _glibc() -> ctypes.CDLL | None:
    """Return the C library if it has what only glibc has."""
    try:
        libc = ctypes.CDLL(None)
    except OSError:
        return None
    return libc if hasattr(libc, "mallopt") and hasattr(libc, "malloc_trim") else None


def _token(settings: TrainingSettings) -> str | None:
    return settings.hf_token.get_secret_value() if settings.hf_token else None


@contextmanager
def hub_errors_told(name: str) -> Iterator[None]:
    """Turn what the Hub, or a folder that is no model, makes a loader raise into one clear sentence."""
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
    )

    try:
        yield
    except ReplybenchError:
        raise
    except (OSError, ValueError) as error:
        causes = _causes(error)
        text = " ".join(str(cause) for cause in causes)
        if any(isinstance(cause, GatedRepoError) for cause in causes) or "gated repo" in text:
            raise NotAllowed(
                f"{name} is gated: accept its licence at https://huggingface.co/{name} with your account, and set "
                "HF_TOKEN to a token of that account."
            ) from error
        if any(isinstance(cause, LocalEntryNotFoundError | ConnectionError) for cause in causes) or "offline" in text:
            raise Unavailable(f"{name} is not on this machine, and the Hugging Face Hub cannot be reached.") from error
        refused = [cause for cause in causes if type(cause) is HfHubHTTPError and cause.response is not None]
        if refused:
            status = refused[0].response.status_code
            rights = " Set HF_TOKEN to a token that may do this." if status in {401, 403} else ""
            raise NotAllowed(f"The Hugging Face Hub refused {name} (status {status}).{rights}") from error
        if any(isinstance(cause, RepositoryNotFoundError) for cause in causes) or not Path(name).exists():
            raise ConfigError(
                f"There is no model or adapter '{name}': no such directory, and no such repository on the Hub that "
                "this account can see. Check the name and HF_TOKEN."
            ) from error
        raise ConfigError(f"{name} could not be loaded: {str(error).splitlines()[0]}") from error


def _causes(error: BaseException) -> list[BaseException]:
    found: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in found:
        found.append(current)
        current = current.__cause__ or current.__context__
    return found
