"""The small models of the fine-tuning tests, for DPO and KTO."""

from tests.training.finetune.conftest import base_models, gpt2_like, prepared, settings

__all__ = ["base_models", "gpt2_like", "prepared", "settings"]
