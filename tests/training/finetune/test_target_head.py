"""The head on target tokens alone gives the loss and the gradients of the plain path."""

from pathlib import Path
from typing import Any

import pytest
import torch
from transformers import Gemma2Config, Gemma2ForCausalLM, PreTrainedTokenizerFast

from tests.training.finetune.conftest import recipe_of
from training.dataset import load_prepared
from training.finetune import models, target_head
from training.finetune.losses import collate
from training.finetune.run_folder import run_folder
from training.finetune.sft import sft_job
from training.finetune.texts import IGNORED, training_rows
from training.settings import TrainingSettings


def both_ways(
    base: Path, data: Path, settings: TrainingSettings, **changes: Any
) -> tuple[list[torch.Tensor], list[torch.Tensor]]:
    """Return (loss, gradients) as our recipe takes them, and as `transformers` does from all logits."""
    recipe = recipe_of(base, data, **changes)
    loaded = models.load_for_training(recipe, settings, lambda _: None)
    rows = training_rows(loaded.tokenizer, load_prepared(data), recipe.data).rows[:4]
    trainer: Any = sft_job(recipe, loaded, run_folder(settings.runs_dir, "x"), []).trainer
    model = trainer.model.train()
    torch.manual_seed(3)
    for name, parameter in model.named_parameters():
        if "lora_B" in name:  # at its first zeros the gradient of lora_A is zero, and would prove nothing
            torch.nn.init.normal_(parameter, std=0.05)

    def gradients(loss: torch.Tensor) -> list[torch.Tensor]:
        model.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own
        return [loss.detach(), torch.cat([p.grad.flatten().float() for p in model.parameters() if p.requires_grad])]

    ours = gradients(trainer.compute_loss(model, collate(rows, 0)))
    return ours, gradients(model(**collate(rows, 0)).loss)


@pytest.mark.parametrize("chunk", [7, 10_000])
@pytest.mark.parametrize("method", ["lora", "qlora", "full"])
@pytest.mark.parametrize("architecture", ["llama", "gptj"])
def test_loss_and_gradients_are_those_of_the_plain_path(
    architecture: str,
    method: str,
    chunk: int,
    base_models: dict[str, Path],
    prepared: Path,
    settings: TrainingSettings,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(target_head, "CHUNK", chunk)
    changes = {"method": method, "quantisation": {"compute_dtype": "float32"}}
    ours, plain = both_ways(base_models[architecture], prepared, settings, **changes)
    torch.testing.assert_close(ours[0], plain[0])
    torch.testing.assert_close(ours[1], plain[1], rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("architecture", ["llama", "gptj"])
def test_in_bfloat16_they_differ_by_rounding_alone(
    architecture: str, base_models: dict[str, Path], prepared: Path, settings: TrainingSettings
) -> None:
    ours, plain = both_ways(base_models[architecture], prepared, settings, dtype="bfloat16")
    torch.testing.assert_close(ours[0], plain[0], rtol=1e-3, atol=1e-3, check_dtype=False)
    assert float(torch.nn.functional.cosine_similarity(ours[1], plain[1], dim=0)) > 0.999
    assert float(ours[1].norm() / plain[1].norm()) == pytest.approx(1, abs=0.01)


def test_a_model_that_changes_its_logits_after_the_head_is_left_to_trl(
    prepared: Path, settings: TrainingSettings, tmp_path: Path, gpt2_like: PreTrainedTokenizerFast
) -> None:
    sizes: dict[str, Any] = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "head_dim": 16}
    heads: dict[str, Any] = {"num_attention_heads": 2, "num_key_value_heads": 2}
    config = Gemma2Config(vocab_size=len(gpt2_like), final_logit_softcapping=0.05, **sizes, **heads)
    Gemma2ForCausalLM(config).save_pretrained(tmp_path)
    gpt2_like.save_pretrained(tmp_path)
    ours, plain = both_ways(tmp_path, prepared, settings)
    torch.testing.assert_close(ours[0], plain[0])
    torch.testing.assert_close(ours[1], plain[1], rtol=1e-3, atol=1e-6)


def test_what_the_trainer_logs_is_what_the_logits_say() -> None:
    torch.manual_seed(1)
    head = torch.nn.Linear(8, 50).requires_grad_(False)
    hidden, labels = torch.randn(2, 5, 8), torch.randint(0, 50, (2, 5))
    labels[0, :3] = IGNORED
    wanted = labels != IGNORED
    likely = head(hidden).argmax(-1)
    labels[1, 1:3] = likely[1, 1:3]  # two hits
    found = target_head.scored(head, hidden, labels)
    log_probs = torch.log_softmax(head(hidden), -1)
    torch.testing.assert_close(found.entropy, -(log_probs.exp() * log_probs).sum(-1) * wanted)
    torch.testing.assert_close(found.is_top1, (likely == labels).float())
    torch.testing.assert_close(found.label_mask, wanted)
    assert found.is_top1 is not None
    assert found.is_top1.sum() >= 2


def test_a_batch_without_a_target_teaches_nothing_and_breaks_nothing() -> None:
    hidden = torch.randn(1, 4, 8, requires_grad=True)
    head = torch.nn.Linear(8, 50).requires_grad_(False)
    loss = target_head.scored(head, hidden, torch.full((1, 4), IGNORED)).loss
    assert loss is not None
    torch.autograd.backward(loss)
    assert loss.item() == 0
    assert hidden.grad is not None
    assert not hidden.grad.any()
