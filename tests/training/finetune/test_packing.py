"""Texts packed into one row do not see each other, and a model that cannot keep them apart is refused."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import BloomConfig, BloomForCausalLM, PreTrainedTokenizerFast

from replybench.errors import ConfigError
from tests.training.finetune.conftest import recipe_of
from training.dataset import load_prepared
from training.finetune import models
from training.finetune.job import Job
from training.finetune.losses import collate, token_losses
from training.finetune.recipe import Recipe
from training.finetune.run_folder import run_folder
from training.finetune.sft import sft_job
from training.finetune.texts import IGNORED, training_rows
from training.settings import TrainingSettings


def packing(base: Path, data: Path) -> Recipe:
    recipe = recipe_of(base, data)
    return recipe.model_copy(update={"data": recipe.data.model_copy(update={"max_tokens": 256, "packing": True})})


def job(recipe: Recipe, settings: TrainingSettings) -> Job:
    loaded = models.load_for_training(recipe, settings, lambda _: None)
    return sft_job(recipe, loaded, run_folder(settings.runs_dir, "packed"), [])


@pytest.mark.parametrize("architecture", ["llama", "gptj"])
def test_each_text_comes_out_as_it_does_alone(
    architecture: str, base_models: dict[str, Path], prepared: Path, settings: TrainingSettings
) -> None:
    recipe = packing(base_models[architecture], prepared)
    ready = job(recipe, settings)
    rows = training_rows(ready.loaded.tokenizer, load_prepared(prepared), recipe.data).rows
    packed: Any = ready.trainer.train_dataset
    assert max(len(lengths) for lengths in packed["seq_lengths"]) >= 3, "nothing was packed"
    plain = ready.loaded.model.eval()
    alone = {tuple(row.input_ids): token_losses(plain, collate([row], 0)) for row in rows}
    seen = 0
    for row in packed:
        batch = ready.trainer.data_collator([row])
        labels = batch.pop("labels")[:, 1:]
        with torch.no_grad():
            logits = plain(**batch).logits[:, :-1]
        losses = torch.nn.functional.cross_entropy(logits[0], labels[0], reduction="none", ignore_index=IGNORED)
        start = 0
        for length in row["seq_lengths"]:
            wanted = labels[0, start : start + length - 1] != IGNORED
            found = losses[start : start + length - 1][wanted]
            torch.testing.assert_close(found, alone[tuple(row["input_ids"][start : start + length])])
            start, seen = start + length, seen + 1
    assert seen >= len(rows)


@pytest.mark.parametrize("architecture", ["llama", "gptj"])
def test_loss_and_gradients_are_those_of_the_texts_alone(
    architecture: str, base_models: dict[str, Path], prepared: Path, settings: TrainingSettings
) -> None:
    ready = job(packing(base_models[architecture], prepared), settings)
    trainer: Any = ready.trainer
    model = trainer.model.train()
    for name, parameter in model.named_parameters():
        if "lora_B" in name:
            torch.nn.init.normal_(parameter, std=0.05)
    row = max(trainer.train_dataset, key=lambda row: len(row["seq_lengths"]))

    def gradients(losses: list[torch.Tensor]) -> torch.Tensor:
        model.zero_grad()
        sum(losses, torch.zeros(())).backward()  # type: ignore[no-untyped-call]  # torch's own
        return torch.cat([p.grad.flatten() for p in model.parameters() if p.requires_grad])

    count = torch.tensor(1)  # the sum over target tokens, not their mean
    together = trainer.compute_loss(model, trainer.data_collator([row]), num_items_in_batch=count)
    start, alone = 0, []
    for length in row["seq_lengths"]:
        text = {key: row[key][start : start + length] for key in ("input_ids", "labels")} | {"seq_lengths": [length]}
        alone.append(trainer.compute_loss(model, trainer.data_collator([text]), num_items_in_batch=count))
        start += length
    torch.testing.assert_close(together, sum(alone))
    torch.testing.assert_close(gradients([together]), gradients(alone), rtol=1e-3, atol=1e-4)


def test_a_model_that_takes_no_positions_is_refused(
    prepared: Path, settings: TrainingSettings, tmp_path: Path, gpt2_like: PreTrainedTokenizerFast
) -> None:
    config = BloomConfig(vocab_size=len(gpt2_like), hidden_size=32, n_layer=2, n_head=2)
    BloomForCausalLM(config).save_pretrained(tmp_path)
    gpt2_like.save_pretrained(tmp_path)
    with pytest.raises(ConfigError, match=r"would see each other .*bloom.* Set packing: false"):
        job(packing(tmp_path, prepared), settings)


def test_a_model_whose_attention_looks_over_the_border_is_refused(
    base_models: dict[str, Path], prepared: Path, settings: TrainingSettings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As GPT-J does with FlashAttention, to which it hands no positions."""
    from transformers.models.gptj import modeling_gptj

    whole = vars(modeling_gptj)["create_causal_mask"]
    monkeypatch.setattr(
        modeling_gptj, "create_causal_mask", lambda **options: whole(**{**options, "position_ids": None})
    )
    with pytest.raises(ConfigError, match=r"would see each other .*gptj"):
        job(packing(base_models["gptj"], prepared), settings)
