"""What a recipe will take, told before it starts: memory by arithmetic, time by a short measurement of this machine.

Memory counts what a training holds at once: the base's weights as they are stored, what is trained (weights, gradients,
Adam's two moments), what the forward pass keeps for the backward pass, and what is at work at once: one layer's
gradients and the logits of a few target tokens. Each run
writes its estimate beside what it measured, in its summary and on its card, so that the constants here stay honest.
"""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replybench.errors import ConfigError
from training.dataset import load_prepared
from training.finetune import models
from training.finetune.packing import planned
from training.finetune.plan import Plan
from training.finetune.recipe import Recipe
from training.finetune.target_head import CHUNK
from training.finetune.texts import TokenRows, heldout_rows, training_rows
from training.settings import TrainingSettings

if TYPE_CHECKING:
    from transformers import PretrainedConfig

_MIB = 2**20
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
#: Python with torch, transformers and trl loaded, before any weight (resident, CPU).
_LIBRARIES_MIB = 650
#: Of the speed of a plain matrix product, what a whole training step reaches (norms, softmax, adapter, optimizer): the
#: demo's recipes on two cores.
_REACHED = 0.34
#: Tensors of hidden size, and of the MLP's inner size, that one layer keeps per token for its backward pass, beside the
#: adapters' inputs. Counted on LLaMA and GPT-J; a test holds them to what autograd keeps.
_KEPT_HIDDEN, _KEPT_INNER = 8, 3
#: TRL scores target tokens in tiles of so many tokens and entries of the vocabulary (trl.kernels.chunked_logprob).
_TILE_TOKENS, _TILE_VOCABULARY = 4096, 32768


@dataclass(frozen=True, slots=True)
class Sizes:
    """Numbers of parameters, counted on a model without memory (torch's meta device).

    `other` are embeddings and norms; a head that is tied to the embeddings (`is_tied`) takes no memory of its own.
    `adapted_inputs` is the sum of the input widths of all layers that get an adapter. `scored_heads` are the heads, of
    all layers, whose attention keeps a score for each pair of tokens (none where it is computed in blocks).
    """

    linear: int
    head: int
    other: int
    adapter: int
    hidden: int
    inner: int
    layers: int
    vocabulary: int
    adapted_inputs: int
    scored_heads: int
    is_tied: bool


@dataclass(frozen=True, slots=True)
class Estimate:
    """Memory in bytes by part, and time. `tokens_per_second` is of the rows' own tokens, without padding."""

    weights: int
    trained: int
    kept: int
    working: int
    holes: int
    libraries: int
    steps: int
    tokens: int
    tokens_per_second: float

    @property
    def memory_mib(self) -> float:
        """Everything at once."""
        return (self.weights + self.trained + self.kept + self.working + self.holes + self.libraries) / _MIB

    @property
    def seconds(self) -> float:
        """Of the steps; judging and saving come on top (about a tenth)."""
        return self.tokens / self.tokens_per_second

    def summary(self) -> dict[str, float]:
        """Return what a run keeps of it, by the names of what it measures."""
        return {
            "peak_memory_mib": round(self.memory_mib),
            "seconds": round(self.seconds),
            "tokens_per_second": round(self.tokens_per_second, 1),
        }


def measure_sizes(config: "PretrainedConfig", recipe: Recipe) -> Sizes:
    """Count parameters of the base and of the adapter that the recipe puts on it; takes no memory."""
    import torch
    from transformers import AutoModelForCausalLM

    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config)  # type: ignore[no-untyped-call]  # as it comes
    head = model.get_output_embeddings().weight.numel()
    linear = sum(
        module.weight.numel()
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear) and module is not model.get_output_embeddings()
    )
    total = sum(parameter.numel() for parameter in model.parameters())
    inner = getattr(config, "intermediate_size", None) or getattr(config, "n_inner", None) or 4 * config.hidden_size
    adapter, inputs = 0, 0
    if recipe.method != "full":
        adapted = models.with_adapter(model, recipe)
        lora = [(name, p) for name, p in adapted.named_parameters() if p.requires_grad]
        adapter = sum(p.numel() for _, p in lora)
        inputs = sum(p.shape[1] for name, p in lora if "lora_A" in name)
    is_eager = model.config._attn_implementation == "eager"
    tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    return Sizes(
        linear=linear,
        head=head,
        other=total - linear - (0 if tied else head),
        adapter=adapter,
        hidden=config.hidden_size,
        inner=inner,
        layers=config.num_hidden_layers,
        vocabulary=config.vocab_size,
        adapted_inputs=inputs,
        scored_heads=config.num_hidden_layers * config.num_attention_heads if is_eager else 0,
        is_tied=tied,
    )


def weight_bytes(sizes: Sizes, recipe: Recipe) -> int:
    """Return what the base's weights take. Head and embeddings are never quantised.

    NF4 takes half a byte a weight and a scale for each 64: four bytes, or with double quantisation one byte and a
    256th of four more.
    """
    other = (sizes.other + (0 if sizes.is_tied else sizes.head)) * _BYTES[recipe.dtype]
    if not recipe.quantised:
        return sizes.linear * _BYTES[recipe.dtype] + other
    if recipe.quantisation.bits == 8:
        return sizes.linear + other
    scale = (1 + 4 / 256) / 64 if recipe.quantisation.double_quant else 4 / 64
    return round(sizes.linear * (0.5 + scale)) + other


@dataclass(frozen=True, slots=True)
class Largest:
    """The micro-batch that takes the most memory: its tokens, padding included, its rows' length, and its targets."""

    tokens: int
    length: int
    targets: int


def memory(sizes: Sizes, recipe: Recipe, largest: Largest, *, on_gpu: bool) -> dict[str, int]:
    """Return bytes by part."""
    width = _BYTES[recipe.quantisation.compute_dtype if recipe.quantised else recipe.dtype]
    if recipe.method == "full":
        trained = (sizes.linear + sizes.other) * (_BYTES[recipe.dtype] + 2 * _BYTES[recipe.dtype])
    else:
        moments = 2 if recipe.optimizer.name == "paged_adamw_8bit" and on_gpu else 8
        trained = sizes.adapter * (4 + 4 + moments)
    layers = max(sizes.layers, 1)
    # An adapter's input is kept in float32: a copy of its own, or what the base's layer keeps anyway.
    layer = (_KEPT_HIDDEN * sizes.hidden + _KEPT_INNER * sizes.inner) * width
    layer += sizes.inner * width if width == 4 else sizes.adapted_inputs // layers * 4
    layer += sizes.scored_heads // layers * largest.length * (4 if width == 4 else 4 + width)
    if recipe.gradient_checkpointing:
        kept = largest.tokens * (layers * sizes.hidden * width + layer)
    else:
        kept = largest.tokens * layers * layer
    working = largest.tokens * layer + _logits(sizes, recipe, largest, width, on_gpu=on_gpu)
    return {
        "weights": weight_bytes(sizes, recipe),
        "trained": trained,
        "kept": kept,
        "working": working,
        # glibc's heap holds about as much again in holes between aligned blocks, as measured.
        "holes": 0 if on_gpu else kept,
        "libraries": 0 if on_gpu else _LIBRARIES_MIB * _MIB,
    }


def _logits(sizes: Sizes, recipe: Recipe, largest: Largest, width: int, *, on_gpu: bool) -> int:
    """Return the bytes of the logits that are held at once: TRL's tile, or that of `target_head`."""
    if on_gpu:
        return min(largest.targets, _TILE_TOKENS) * min(sizes.vocabulary, _TILE_VOCABULARY) * width
    if recipe.method == "full":
        return min(largest.tokens, _TILE_TOKENS) * min(sizes.vocabulary, _TILE_VOCABULARY) * (width + 16)
    return min(largest.targets, CHUNK) * sizes.vocabulary * (2 * width + 8)


def flops_per_token(sizes: Sizes, recipe: Recipe, target_share: float) -> float:
    """Return floating-point operations of one token's forward and backward pass.

    A frozen weight is used twice (forward, and to pass the gradient on), a trained one three times; checkpointing runs
    the forward pass again.
    """
    uses = 6 if recipe.method == "full" else 4
    uses += 2 if recipe.gradient_checkpointing else 0
    return sizes.linear * uses + sizes.adapter * 6 + sizes.head * 4 * target_share


def machine_speed(sizes: Sizes, recipe: Recipe, tokens: int, seconds: float = 1.0) -> float:
    """Return the floating-point operations per second of this machine, measured on a product of the model's shape."""
    import torch

    dtype = getattr(torch, recipe.quantisation.compute_dtype if recipe.quantised else recipe.dtype)
    place = models.device()
    left = torch.randn(tokens, sizes.hidden, dtype=dtype, device=place)
    right = torch.randn(sizes.inner, sizes.hidden, dtype=dtype, device=place)
    rounds, began = 0, time.perf_counter()
    while time.perf_counter() - began < seconds or rounds < 3:
        torch.nn.functional.linear(left, right)
        if place != "cpu":
            torch.cuda.synchronize()
        rounds += 1
    return rounds * 2 * tokens * sizes.hidden * sizes.inner / (time.perf_counter() - began)


def estimate(recipe: Recipe, settings: TrainingSettings, say: models.Say) -> Estimate:
    """Return what a supervised recipe will take on this machine, with its own data; nothing is loaded for it.

    Raises:
        ConfigError: no data, no such model: what the run itself would raise.
    """
    from transformers import AutoConfig

    if recipe.kind != "sft":
        raise ConfigError(f"--estimate is for kind: sft; {recipe.name} is {recipe.kind}. --dry-run shows its settings.")
    location = models.locate_base(recipe, settings, say)
    with models.hub_errors_told(recipe.base):
        config = AutoConfig.from_pretrained(location, revision=recipe.revision)
    learnt, _, lengths, plan = data_of(recipe, location, settings)
    return estimate_for(recipe, config, learnt, lengths, plan)


def estimate_for(
    recipe: Recipe, config: "PretrainedConfig", learnt: TokenRows, lengths: list[int], plan: Plan
) -> Estimate:
    """Return what training on these texts will take on this machine.

    Args:
        lengths: tokens of each of the plan's rows.
    """
    import torch

    sizes = measure_sizes(config, recipe)
    targets = [row.targets for row in learnt.rows]
    largest = largest_batch(plan, lengths, targets, recipe)
    parts = memory(sizes, recipe, largest, on_gpu=torch.cuda.is_available())
    speed = machine_speed(sizes, recipe, largest.tokens) * _REACHED
    share = learnt.targets / max(learnt.tokens, 1)
    return Estimate(
        **parts,
        steps=plan.steps,
        tokens=sum(plan.sums(lengths)),
        tokens_per_second=speed / flops_per_token(sizes, recipe, share),
    )


def data_of(recipe: Recipe, location: str, settings: TrainingSettings) -> tuple[TokenRows, TokenRows, list[int], Plan]:
    """Return what the recipe learns from, what it is judged by, the tokens of each planned row, and the plan."""
    prepared = load_prepared(recipe.data.path)
    tokenizer = models.load_tokenizer(location, recipe, settings)
    learnt, judged = training_rows(tokenizer, prepared, recipe.data), heldout_rows(tokenizer, prepared, recipe.data)
    _, lengths, plan = planned(recipe, learnt.rows)
    return learnt, judged, lengths, plan


def largest_batch(plan: Plan, lengths: list[int], targets: list[int], recipe: Recipe) -> Largest:
    """Return the most that a micro-batch of this plan comes to."""
    size = recipe.batch.rows_at_once
    if recipe.data.packing:
        tokens = recipe.data.max_tokens * size  # one row, in which all of them lie
        return Largest(tokens, tokens, tokens)
    micro = [plan.order[at : at + size] for at in range(0, len(plan.order), size)]
    longest = max(lengths[row] for row in plan.order)
    return Largest(
        tokens=max(max(lengths[row] for row in rows) * len(rows) for rows in micro),
        length=longest,
        targets=max(sum(targets[row] for row in rows) for rows in micro),
    )
