"""What a recipe will take, told before it starts: memory by arithmetic, time by a short measurement of this machine.

Memory counts what a training holds at once: the base's weights as they are stored, what is trained (weights, gradients,
Adam's two moments), what the forward pass keeps for the backward pass, and the logits of the target tokens. Each run
writes its estimate beside what it measured, so that the constants here stay honest (docs/TRAINING.md has a table).
"""

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from training.dataset import load_prepared
from training.finetune import models
from training.finetune.plan import Plan, make_plan
from training.finetune.recipe import Recipe, dump_recipe
from training.finetune.sft import as_dataset
from training.finetune.texts import TokenRows, heldout_rows, training_rows
from training.settings import TrainingSettings

if TYPE_CHECKING:
    from transformers import PretrainedConfig

_GIB, _MIB = 2**30, 2**20
_BYTES = {"float32": 4, "bfloat16": 2, "float16": 2}
#: Python with torch, transformers and trl loaded, before any weight (resident, CPU).
_LIBRARIES_MIB = 800
#: Of the speed of a plain matrix product, what a whole training step reaches (norms, softmax, adapter, optimizer).
_REACHED = 0.55
#: Tensors of hidden size, and of the MLP's inner size, that one layer keeps per token for its backward pass.
_KEPT_HIDDEN, _KEPT_INNER = 10, 4


@dataclass(frozen=True, slots=True)
class Sizes:
    """Numbers of parameters, counted on a model without memory (torch's meta device).

    `other` are embeddings and norms; a head that is tied to the embeddings (`is_tied`) takes no memory of its own.
    `adapted_inputs` is the sum of the input widths of all layers that get an adapter.
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
    is_tied: bool


@dataclass(frozen=True, slots=True)
class Estimate:
    """Memory in bytes by part, and time. `tokens_per_second` is of the rows' own tokens, without padding."""

    weights: int
    trained: int
    kept: int
    logits: int
    libraries: int
    steps: int
    tokens: int
    tokens_per_second: float

    @property
    def memory_mib(self) -> float:
        """Everything at once."""
        return (self.weights + self.trained + self.kept + self.logits + self.libraries) / _MIB

    @property
    def seconds(self) -> float:
        """Of the steps; judging and saving come on top (about a tenth)."""
        return self.tokens / self.tokens_per_second


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


def memory(sizes: Sizes, recipe: Recipe, tokens_at_once: int, targets_at_once: int, *, on_gpu: bool) -> dict[str, int]:
    """Return bytes by part.

    Args:
        tokens_at_once: of the largest micro-batch, padding included.
        targets_at_once: of them, those that the loss is taken on.
    """
    width = _BYTES[recipe.quantisation.compute_dtype if recipe.quantised else recipe.dtype]
    if recipe.method == "full":
        trained = (sizes.linear + sizes.other) * (_BYTES[recipe.dtype] + 2 * _BYTES[recipe.dtype])
    else:
        moments = 2 if recipe.optimizer.name == "paged_adamw_8bit" and on_gpu else 8
        trained = sizes.adapter * (4 + 4 + moments)
    layer = (_KEPT_HIDDEN * sizes.hidden + _KEPT_INNER * sizes.inner) * width
    adapters = sizes.adapted_inputs * 4  # each adapted layer keeps its input in float32
    if recipe.gradient_checkpointing:
        kept = tokens_at_once * (sizes.layers * sizes.hidden * width + layer + adapters // max(sizes.layers, 1))
    else:
        kept = tokens_at_once * (sizes.layers * layer + adapters)
    # Logits, their float32 copy and its log-softmax, and the gradients of both.
    logits = targets_at_once * sizes.vocabulary * (2 * width + 12)
    libraries = 0 if on_gpu else _LIBRARIES_MIB * _MIB
    return {
        "weights": weight_bytes(sizes, recipe),
        "trained": trained,
        "kept": kept,
        "logits": logits,
        "libraries": libraries,
    }


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
    """Return what a supervised recipe will take on this machine, with its own data.

    Raises:
        ConfigError: no data, no such model: what the run itself would raise.
    """
    import torch
    from transformers import AutoConfig

    location = models.locate_base(recipe, settings, say)
    with models.hub_errors_told(recipe.base):
        config = AutoConfig.from_pretrained(location, revision=recipe.revision)
    learnt, _, plan = data_of(recipe, location, settings)
    sizes = measure_sizes(config, recipe)
    rows = learnt.rows
    lengths = [len(row.input_ids) for row in rows]
    tokens_at_once, targets_at_once = largest_batch(plan, lengths, [row.targets for row in rows], recipe)
    parts = memory(sizes, recipe, tokens_at_once, targets_at_once, on_gpu=torch.cuda.is_available())
    speed = machine_speed(sizes, recipe, tokens_at_once) * _REACHED
    share = learnt.targets / max(learnt.tokens, 1)
    return Estimate(
        **parts,
        steps=plan.steps,
        tokens=sum(plan.sums(lengths)),
        tokens_per_second=speed / flops_per_token(sizes, recipe, share),
    )


def data_of(recipe: Recipe, location: str, settings: TrainingSettings) -> tuple[TokenRows, TokenRows, Plan]:
    """Return what the recipe learns from, what it is judged by, and the plan."""
    prepared = load_prepared(recipe.data.path)
    tokenizer = models.load_tokenizer(location, recipe, settings)
    learnt, judged = training_rows(tokenizer, prepared, recipe.data), heldout_rows(tokenizer, prepared, recipe.data)
    lengths = [len(row.input_ids) for row in learnt.rows]
    if recipe.data.packing:
        lengths = [len(ids) for ids in as_dataset(learnt.rows, packed_to=recipe.data.max_tokens)["input_ids"]]
    return learnt, judged, make_plan(lengths, recipe.batch, recipe.length, recipe.seed)


def largest_batch(plan: Plan, lengths: list[int], targets: list[int], recipe: Recipe) -> tuple[int, int]:
    """Return tokens (padding included) and targets of the micro-batch that takes the most memory."""
    size = recipe.batch.rows_at_once
    if recipe.data.packing:
        return recipe.data.max_tokens * size, recipe.data.max_tokens * size
    micro = [plan.order[at : at + size] for at in range(0, len(plan.order), size)]
    return (
        max(max(lengths[row] for row in rows) * len(rows) for rows in micro),
        max(sum(targets[row] for row in rows) for rows in micro),
    )


def estimate_report(recipe: Recipe, settings: TrainingSettings) -> str:
    """Return the estimate as text for a terminal."""
    found = estimate(recipe, settings, lambda _: None)
    parts = {
        "weights of the base": found.weights,
        "what is trained (weights, gradients, moments)": found.trained,
        "kept for the backward pass": found.kept,
        "logits": found.logits,
        "libraries": found.libraries,
    }
    lines = [f"{recipe.name}: {found.steps} steps, {found.tokens:,} tokens", ""]
    lines += [f"  {value / _GIB:7.2f} GiB  {name}" for name, value in parts.items() if value]
    lines += [
        f"  {found.memory_mib / 1024:7.2f} GiB  at most, altogether",
        "",
        f"  {found.tokens_per_second:,.0f} tokens per second on this machine as it is now: "
        f"{found.seconds / 60:,.0f} minutes, and about a tenth more for judging and saving.",
    ]
    return "\n".join(lines)


def dry_run_report(recipe: Recipe, settings: TrainingSettings) -> str:
    """Return the resolved recipe and what its data comes to; nothing is loaded but the tokenizer."""
    report = dump_recipe(recipe)
    if recipe.kind != "sft":
        return report
    location = models.locate_base(recipe, settings, lambda _: None)
    learnt, judged, plan = data_of(recipe, location, settings)
    return (
        f"{report}\n"
        f"# learnt from: {learnt.texts} texts, {learnt.tokens:,} tokens, {learnt.targets:,} of them targets; "
        f"{learnt.cut_texts} longer than {recipe.data.max_tokens} tokens are cut into windows\n"
        f"# judged by:   {judged.texts} held-out threads, {judged.targets:,} target tokens\n"
        f"# plan:        {plan.steps} steps of {recipe.batch.rows} rows, {plan.epoch_at(plan.steps):.1f} times the data"
    )
