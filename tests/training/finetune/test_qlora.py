"""QLoRA on the CPU, for both architectures of the study: really 4 bits, only the adapter moves, gradients are right."""

import hashlib
from pathlib import Path
from typing import Any

import pytest
import torch
from bitsandbytes.functional import dequantize_4bit, has_avx512bf16
from bitsandbytes.nn.modules import Linear4bit, Linear8bitLt
from transformers import AutoModelForCausalLM

from tests.training.finetune.conftest import recipe_of
from training.dataset import load_prepared
from training.finetune import models
from training.finetune.losses import collate, heldout_loss
from training.finetune.texts import TokenRow, training_rows
from training.settings import TrainingSettings

_HAS_AVX512BF16: bool = has_avx512bf16()  # type: ignore[no-untyped-call]  # untyped there
#: Least cosine between gradients of the 4-bit step and of the plain step on the same weights.
COSINE = 0.999


def quantised(base: Path, data: Path, settings: TrainingSettings, **changes: Any) -> models.Loaded:
    recipe = recipe_of(
        base,
        data,
        method="qlora",
        quantisation={"compute_dtype": "float32"},
        **changes,
    )
    return models.load_for_training(recipe, settings, lambda _: None)


def plain_twin(base: Path, loaded: models.Loaded, data: Path) -> Any:
    """The same adapter on an unquantised base that holds the very values that the 4-bit weights stand for."""
    recipe = recipe_of(base, data)
    twin = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    adapted = models.with_adapter(twin, recipe)
    theirs = dict(loaded.model.named_modules())
    for name, module in adapted.named_modules():
        other = theirs.get(name)
        if isinstance(other, Linear4bit):
            weight: Any = other.weight
            module.weight.data = dequantize_4bit(weight.data, weight.quant_state).to(torch.float32)
    trained = {name: p for name, p in loaded.model.named_parameters() if p.requires_grad}
    for name, parameter in adapted.named_parameters():
        if parameter.requires_grad:
            parameter.data = trained[name].data.float().clone()
    return adapted


def stirred(model: Any) -> Any:
    """Give lora_B values: at its first zeros the gradient of lora_A is zero, and would prove nothing."""
    torch.manual_seed(3)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    return model


def gradients(model: Any, rows: list[TokenRow]) -> torch.Tensor:
    model.train()
    model.zero_grad()
    batch = collate(rows, 0)
    model(**batch).loss.backward()
    return torch.cat([p.grad.flatten().float() for p in model.parameters() if p.requires_grad])


def cosine(one: torch.Tensor, other: torch.Tensor) -> float:
    return float(torch.nn.functional.cosine_similarity(one, other, dim=0))


def frozen_bytes(model: Any) -> str:
    digest = hashlib.sha256()
    for name, parameter in sorted(model.named_parameters()):
        if not parameter.requires_grad:
            digest.update(name.encode() + parameter.detach().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()


@pytest.fixture
def rows(prepared: Path, gpt2_like: Any) -> list[TokenRow]:
    data = recipe_of("x", prepared).data
    return training_rows(gpt2_like, load_prepared(prepared), data).rows[:4]


@pytest.fixture(params=["llama", "gptj"])
def base(request: pytest.FixtureRequest, base_models: dict[str, Path]) -> Path:
    return base_models[request.param]


def test_the_linear_layers_are_really_in_four_bits(base: Path, prepared: Path, settings: TrainingSettings) -> None:
    loaded = quantised(base, prepared, settings)
    layers = [m for m in loaded.model.modules() if isinstance(m, Linear4bit)]
    assert len(layers) == 2 * (7 if base.name == "llama" else 6)
    for layer in layers:
        weight: Any = layer.weight
        state = weight.quant_state
        assert (state.quant_type, layer.weight.dtype, state.nested) == ("nf4", torch.uint8, True)
        assert layer.weight.numel() * 2 == state.shape.numel()
    assert isinstance(loaded.model.get_output_embeddings(), torch.nn.Linear)
    assert not isinstance(loaded.model.get_output_embeddings(), Linear4bit)


def test_only_the_adapter_moves_and_the_loss_falls(
    base: Path, prepared: Path, settings: TrainingSettings, rows: list[TokenRow]
) -> None:
    model = quantised(base, prepared, settings).model
    before = frozen_bytes(model)
    trained = {name: p.detach().clone() for name, p in model.named_parameters() if p.requires_grad}
    assert trained
    assert all("lora_" in name for name in trained)
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=0.02)
    losses = []
    model.train()
    for _ in range(40):
        loss = model(**collate(rows, 0)).loss
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        losses.append(loss.item())
    assert losses[-1] < 0.9 * losses[0]
    assert frozen_bytes(model) == before
    moved = [name for name, p in model.named_parameters() if p.requires_grad and not torch.equal(p, trained[name])]
    assert set(moved) == set(trained)


def test_gradients_are_those_of_a_plain_step_on_the_same_weights(
    base: Path, prepared: Path, settings: TrainingSettings, rows: list[TokenRow]
) -> None:
    loaded = quantised(base, prepared, settings)
    stirred(loaded.model)
    ours, plain = gradients(loaded.model, rows), gradients(plain_twin(base, loaded, prepared), rows)
    assert cosine(ours, plain) >= COSINE
    assert float(ours.norm() / plain.norm()) == pytest.approx(1, abs=0.01)


def test_evaluating_in_mid_training_does_not_spoil_the_gradients(
    base: Path, prepared: Path, settings: TrainingSettings, rows: list[TokenRow]
) -> None:
    """bitsandbytes repacks 4-bit weights at an evaluation; see `models.keep_training_layout`."""
    loaded = quantised(base, prepared, settings)
    stirred(loaded.model)
    before = gradients(loaded.model, rows)
    heldout_loss(loaded.model, rows, 0, rows_at_once=2)
    after = gradients(loaded.model, rows)
    assert cosine(after, before) >= COSINE
    assert float(after.norm() / before.norm()) == pytest.approx(1, abs=0.01)
    assert cosine(after, gradients(plain_twin(base, loaded, prepared), rows)) >= COSINE


@pytest.mark.skipif(not _HAS_AVX512BF16, reason="bitsandbytes repacks on CPUs with AVX512-BF16 alone")
def test_the_trap_is_still_there(prepared: Path, settings: TrainingSettings, rows: list[TokenRow], wide: Path) -> None:
    """If this fails, bitsandbytes was mended: `keep_training_layout` can go."""
    loaded = quantised(wide, prepared, settings)
    stirred(loaded.model)
    for layer in loaded.model.modules():
        if isinstance(layer, Linear4bit):
            layer.support_avx512bf16_for_cpu = True
    before = gradients(loaded.model, rows)
    loaded.model.eval()
    with torch.no_grad():
        loaded.model(**collate(rows, 0))
    assert cosine(gradients(loaded.model, rows), before) < 0.9


@pytest.fixture
def wide(tmp_path: Path, gpt2_like: Any) -> Path:
    """A model whose layers are wide enough to be repacked."""
    from tests.training.finetune.conftest import tiny_llama

    tiny_llama(len(gpt2_like), width=256).save_pretrained(tmp_path / "wide")
    gpt2_like.save_pretrained(tmp_path / "wide")
    return tmp_path / "wide"


def test_wide_layers_are_guarded_too(
    prepared: Path, settings: TrainingSettings, rows: list[TokenRow], wide: Path
) -> None:
    loaded = quantised(wide, prepared, settings)
    stirred(loaded.model)
    before = gradients(loaded.model, rows)
    heldout_loss(loaded.model, rows, 0, rows_at_once=2)
    assert cosine(gradients(loaded.model, rows), before) >= COSINE


def test_eight_bits_can_be_chosen(base: Path, prepared: Path, settings: TrainingSettings) -> None:
    recipe = recipe_of(base, prepared, method="qlora", quantisation={"bits": 8})
    model = models.load_base(str(base), recipe, settings)
    assert sum(isinstance(m, Linear8bitLt) for m in model.modules()) >= 12
