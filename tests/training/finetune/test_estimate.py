"""The arithmetic of an estimate, against what models really have, and SPEC's sizes of the study's models."""

from pathlib import Path
from typing import Any

import pytest
from transformers import AutoModelForCausalLM, GPTJConfig, LlamaConfig

from tests.training.finetune.conftest import recipe_of
from training.finetune import models
from training.finetune.estimate import estimate, estimate_report, measure_sizes, memory, weight_bytes
from training.settings import TrainingSettings

GIB = 2**30
LLAMA_2_7B = LlamaConfig(hidden_size=4096, intermediate_size=11008, num_hidden_layers=32, num_attention_heads=32)
GPT_J_6B = GPTJConfig()


@pytest.mark.parametrize(
    ("config", "changes", "gib"),
    [
        (LLAMA_2_7B, {"method": "qlora"}, 3.6),
        (LLAMA_2_7B, {"method": "qlora", "quantisation": {"bits": 8}}, 6.5),
        (LLAMA_2_7B, {"dtype": "bfloat16"}, 12.6),
        (LLAMA_2_7B, {"dtype": "float32"}, 25.1),
        (GPT_J_6B, {"method": "qlora"}, 3.5),
        (GPT_J_6B, {"method": "qlora", "quantisation": {"bits": 8}}, 6.0),
        (GPT_J_6B, {"dtype": "bfloat16"}, 11.3),
        (GPT_J_6B, {"dtype": "float32"}, 22.5),
    ],
)
def test_weights_of_the_studys_models(config: Any, changes: dict[str, Any], gib: float) -> None:
    recipe = recipe_of("x", Path("d"), **{"dtype": "bfloat16", **changes})
    assert weight_bytes(measure_sizes(config, recipe), recipe) / GIB == pytest.approx(gib, abs=0.1)


@pytest.mark.parametrize("architecture", ["llama", "gptj"])
def test_what_is_counted_is_what_is_there(architecture: str, base_models: dict[str, Path]) -> None:
    recipe = recipe_of(base_models[architecture], Path("d"))
    model = AutoModelForCausalLM.from_pretrained(base_models[architecture])
    sizes = measure_sizes(model.config, recipe)
    plain = sum(parameter.numel() for parameter in model.parameters())
    assert weight_bytes(sizes, recipe) == 4 * plain
    adapted = models.with_adapter(model, recipe)
    assert sizes.adapter == sum(p.numel() for p in adapted.parameters() if p.requires_grad)


def test_checkpointing_and_fewer_rows_need_less() -> None:
    recipe = recipe_of("x", Path("d"))
    sizes = measure_sizes(LLAMA_2_7B, recipe)
    much = memory(sizes, recipe, 4096, 2048, on_gpu=True)
    less = memory(sizes, recipe.model_copy(update={"gradient_checkpointing": True}), 4096, 2048, on_gpu=True)
    few = memory(sizes, recipe, 1024, 512, on_gpu=True)
    assert less["kept"] < 0.2 * much["kept"]
    assert few["kept"] * 4 == much["kept"]
    assert few["logits"] * 4 == much["logits"]


def test_an_estimate_is_told_before_anything_is_trained(
    base_models: dict[str, Path], prepared: Path, settings: TrainingSettings
) -> None:
    recipe = recipe_of(base_models["llama"], prepared)
    found = estimate(recipe, settings, lambda _: None)
    assert found.steps == 6
    assert found.tokens_per_second > 0
    assert 800 < found.memory_mib < 1000
    text = estimate_report(recipe, settings)
    assert "weights of the base" in text
    assert "tokens per second" in text
    assert not settings.runs_dir.exists()
