"""The arithmetic of an estimate, against what models really have and take, and the sizes of the study's models."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import AutoModelForCausalLM, GPTJConfig, LlamaConfig, PreTrainedTokenizerFast

from replybench.errors import ConfigError
from tests.training.finetune.conftest import MAKERS, articles, recipe_of, threads, write_prepared
from training.finetune import models
from training.finetune.estimate import Largest, estimate, measure_sizes, memory, weight_bytes
from training.finetune.preview import estimate_report
from training.finetune.recipe import dump_recipe
from training.finetune.run_folder import run_folder
from training.settings import TrainingSettings

#: How far what is kept for the backward pass may be from what autograd keeps, either way …
KEPT_WITHIN = 1.15
#: … and the memory of a whole run from what was measured.
MEMORY_WITHIN = 1.25
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
    much = memory(sizes, recipe, Largest(4096, 512, 2048), on_gpu=True)
    checkpointing = recipe.model_copy(update={"gradient_checkpointing": True})
    less = memory(sizes, checkpointing, Largest(4096, 512, 2048), on_gpu=True)
    few = memory(sizes, recipe, Largest(1024, 512, 512), on_gpu=True)
    assert less["kept"] < 0.2 * much["kept"]
    assert few["kept"] * 4 == much["kept"]
    assert few["working"] < much["working"]


def test_an_estimate_is_told_before_anything_is_trained(
    base_models: dict[str, Path], prepared: Path, settings: TrainingSettings
) -> None:
    recipe = recipe_of(base_models["llama"], prepared)
    found = estimate(recipe, settings, lambda _: None)
    assert found.steps == 6
    assert found.tokens_per_second > 0
    assert 650 < found.memory_mib < 800
    text = estimate_report(recipe, settings)
    assert "weights of the base" in text
    assert "tokens per second" in text
    assert not settings.runs_dir.exists()


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
@pytest.mark.parametrize("architecture", ["llama", "gptj"])
def test_what_is_kept_for_the_backward_pass_is_what_autograd_keeps(architecture: str, dtype: str) -> None:
    recipe = recipe_of("x", Path("d"), dtype=dtype)
    model = MAKERS[architecture](900, width=256).to(getattr(torch, dtype))
    sizes = measure_sizes(model.config, recipe)
    adapted = models.with_adapter(model, recipe).train()
    ids = torch.zeros((2, 256), dtype=torch.long)
    mask = torch.ones_like(ids)
    mask[1, 200:] = 0
    own = {tensor.untyped_storage().data_ptr() for tensor in (*adapted.parameters(), *adapted.buffers())}
    kept: dict[int, torch.UntypedStorage] = {}

    def keep(tensor: torch.Tensor) -> torch.Tensor:
        storage = tensor.untyped_storage()
        if storage.data_ptr() not in own:
            kept[storage.data_ptr()] = storage  # held, so that no address is used twice
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        states = model.base_model(input_ids=ids, attention_mask=mask, use_cache=False).last_hidden_state
    assert states.requires_grad
    measured = sum(storage.nbytes() for storage in kept.values())
    expected = memory(sizes, recipe, Largest(ids.numel(), ids.shape[1], 0), on_gpu=False)["kept"]
    assert 1 / KEPT_WITHIN < expected / measured < KEPT_WITHIN


@pytest.mark.parametrize("architecture", ["llama", "gptj"])
def test_a_run_keeps_its_estimate_beside_what_it_measured(
    architecture: str, gpt2_like: PreTrainedTokenizerFast, settings: TrainingSettings, tmp_path: Path
) -> None:
    """In a process of its own, since memory is a process's; most of it is the training's, so that this could fail."""
    MAKERS[architecture](len(gpt2_like), width=384).save_pretrained(tmp_path / "base")
    gpt2_like.save_pretrained(tmp_path / "base")
    long = [article.model_copy(update={"text": article.text * 12}) for article in articles() * 8]
    data = write_prepared(tmp_path / "data", long, threads())
    recipe = recipe_of(tmp_path / "base", data, batch={"rows": 32, "rows_at_once": 32}, length={"max_steps": 3})
    recipe = recipe.model_copy(update={"data": recipe.data.model_copy(update={"max_tokens": 512})})
    (tmp_path / "recipe.yaml").write_text(dump_recipe(recipe), "utf-8")
    code = "import sys; from replybench.cli import main; main(sys.argv[1:])"
    environment = {**os.environ, "RUNS_DIR": str(settings.runs_dir)}
    command = [sys.executable, "-c", code, "train", str(tmp_path / "recipe.yaml")]
    subprocess.run(command, env=environment, check=True, stderr=subprocess.DEVNULL)
    run = run_folder(settings.runs_dir, "quick")
    measured, expected = run.state().summary, run.state().summary["estimate"]
    assert 1 / MEMORY_WITHIN < expected["peak_memory_mib"] / measured["peak_memory_mib"] < MEMORY_WITHIN
    assert estimate(recipe, settings, lambda _: None).libraries < 0.5 * expected["peak_memory_mib"] * 2**20
    assert expected["seconds"] > 0
    card = (run.adapter / "README.md").read_text("utf-8")
    assert f"| most memory | {expected['peak_memory_mib']:,.0f} MiB | {measured['peak_memory_mib']:,.0f} MiB |" in card


def test_an_estimate_of_a_preference_recipe_is_refused(prepared: Path, settings: TrainingSettings) -> None:
    with pytest.raises(ConfigError, match=r"--estimate is for kind: sft"):
        estimate(recipe_of("x", prepared, kind="dpo"), settings, lambda _: None)


def test_holes_of_the_heap_are_given_back() -> None:
    """In a process of its own, whose heap nobody else has used."""
    code = """
import psutil
from training.finetune.models import keep_freed_memory, return_holes
keep_freed_memory()
blocks = [bytearray(b"x" * 2**20) for _ in range(200)]
blocks = [block for at, block in enumerate(blocks) if at % 10 == 0]
before = psutil.Process().memory_info().rss
return_holes()
print((before - psutil.Process().memory_info().rss) // 2**20)
"""
    freed = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert int(freed) > 100
