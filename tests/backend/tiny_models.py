"""Tiny random models of the architectures that matter, with a real byte-level tokenizer, made in a second."""

from pathlib import Path
from typing import Any

import torch
from peft import LoraConfig, get_peft_model
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import GPTJConfig, GPTJForCausalLM, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

CHAT = (
    "{% for m in messages %}<|start|>{{ m['role'] }}\n{{ m['content'] }}<|end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|start|>assistant\n{% endif %}"
)
CORPUS = [
    "### Subject: Password\n### Question: I forgot my password, how do I get back in?\n### Answer: Hello,",
    "Як мені повернути доступ до збору? Дякую! 👍 Naïve café – “quotes”.",
]


def make_tokenizer(folder: Path, vocabulary: int = 400) -> Any:
    """Train a byte-level BPE tokenizer (as GPT-2's and SmolLM2's) and save it."""
    raw = Tokenizer(models.BPE())
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=["<|end|>", "<|start|>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
    )
    raw.train_from_iterator(CORPUS, trainer)
    make: Any = PreTrainedTokenizerFast  # untyped
    tokenizer = make(tokenizer_object=raw, eos_token="<|end|>", pad_token="<|end|>")
    tokenizer.chat_template = CHAT
    tokenizer.save_pretrained(folder)
    return tokenizer


def make_llama(folder: Path, **changes: Any) -> Path:
    """A Llama with grouped-query attention. Large initial weights make its choices clear-cut."""
    tokenizer = make_tokenizer(folder)
    torch.manual_seed(11)
    sizes: dict[str, Any] = {
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 3,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
        "max_position_embeddings": 512,
        "initializer_range": 0.3,
    }
    config = LlamaConfig(
        **{**sizes, **changes},
        vocab_size=len(tokenizer),
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.eos_token_id,
    )
    LlamaForCausalLM(config).save_pretrained(folder)
    return folder


def make_gptj(folder: Path) -> Path:
    """A GPT-J: rotary embeddings by position ids, which left padding must not shift."""
    tokenizer = make_tokenizer(folder)
    torch.manual_seed(12)
    config = GPTJConfig(
        vocab_size=len(tokenizer),
        n_embd=64,
        n_layer=3,
        n_head=4,
        rotary_dim=8,
        n_positions=256,
        initializer_range=0.3,
        eos_token_id=tokenizer.eos_token_id,
        bos_token_id=tokenizer.eos_token_id,
    )
    GPTJForCausalLM(config).save_pretrained(folder)
    return folder


def make_adapter(base: Path, folder: Path, seed: int, rank: int = 8) -> Path:
    """A LoRA adapter on all linear layers that changes what the base says (its B is not zero)."""
    from transformers import AutoModelForCausalLM

    torch.manual_seed(seed)
    model = AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32)
    config = LoraConfig(
        r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM", init_lora_weights=False
    )
    get_peft_model(model, config).save_pretrained(str(folder))
    return folder
