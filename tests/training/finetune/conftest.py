"""Small real models of random weights (LLaMA and GPT-J), tokenizers of their kinds, and a small prepared data set."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import (
    AutoTokenizer,
    GPTJConfig,
    GPTJForCausalLM,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerBase,
    PreTrainedTokenizerFast,
)

from replybench.embedded_model import ensure_embedded_model
from replybench.prompts import Turn
from training.dataset import Article, Thread, canonical, fingerprint
from training.finetune.recipe import Recipe, parse_recipe
from training.settings import TrainingSettings

DEMO = Path("demo/helpdesk")
_make: Any = PreTrainedTokenizerFast  # its constructor is untyped
_TOPICS = ("password", "payout", "card", "refund", "invitation", "keepsake book", "currency", "reminder")


def _corpus() -> list[str]:
    return [line for file in sorted(DEMO.glob("*.jsonl")) for line in file.read_text("utf-8").splitlines()[:40]]


@pytest.fixture(scope="session")
def gpt2_like() -> PreTrainedTokenizerFast:
    """A byte-level BPE tokenizer as GPT-2 and GPT-J have: no padding token, no beginning token."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    inner.post_processor = processors.ByteLevel(trim_offsets=True)
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(vocab_size=900, special_tokens=["<|endoftext|>"], initial_alphabet=alphabet)
    inner.train_from_iterator(_corpus(), trainer)
    made: PreTrainedTokenizerFast = _make(tokenizer_object=inner, eos_token="<|endoftext|>")
    return made


@pytest.fixture(scope="session")
def llama_like() -> PreTrainedTokenizerFast:
    """A tokenizer as Llama 2 has: a beginning token, spaces as ▁ with one put before the text, bytes as fallback."""
    inner = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>"))
    inner.pre_tokenizer = pre_tokenizers.Metaspace(replacement="▁", prepend_scheme="first", split=False)
    inner.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse(), decoders.Strip(" ", 1, 0)]
    )
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    # Lines and not whole texts: split=False lets merges cross words, as in Llama 2, and would learn sentences.
    lines = [word for text in _corpus() for word in text.split(" ")]
    inner.train_from_iterator(lines, trainers.BpeTrainer(vocab_size=1200, special_tokens=special))
    inner.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    marks = {"bos_token": "<s>", "eos_token": "</s>", "unk_token": "<unk>"}
    made: PreTrainedTokenizerFast = _make(tokenizer_object=inner, add_bos_token=True, **marks)
    return made


@pytest.fixture(scope="session")
def smollm2() -> PreTrainedTokenizerBase:
    """The real tokenizer of the model that ships, where the demo keeps it (fetched if it is not there)."""
    location = ensure_embedded_model(Path(".replybench/models"))
    tokenizer: PreTrainedTokenizerBase = AutoTokenizer.from_pretrained(location)
    return tokenizer


def tiny_llama(vocabulary: int, *, width: int = 64) -> PreTrainedModel:
    torch.manual_seed(7)
    return LlamaForCausalLM(
        LlamaConfig(
            vocab_size=vocabulary,
            hidden_size=width,
            intermediate_size=2 * width,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=512,
            tie_word_embeddings=True,
        )
    )


def tiny_gptj(vocabulary: int, *, width: int = 64) -> PreTrainedModel:
    torch.manual_seed(7)
    return GPTJForCausalLM(
        GPTJConfig(
            vocab_size=vocabulary,
            n_embd=width,
            n_layer=2,
            n_head=4,
            n_positions=512,
            rotary_dim=8,
            bos_token_id=0,
            eos_token_id=0,
            tie_word_embeddings=False,
        )
    )


MAKERS: dict[str, Callable[..., PreTrainedModel]] = {"llama": tiny_llama, "gptj": tiny_gptj}


@pytest.fixture(scope="session")
def base_models(tmp_path_factory: pytest.TempPathFactory, gpt2_like: PreTrainedTokenizerFast) -> dict[str, Path]:
    """Architecture → directory of a small model of random weights with its tokenizer."""
    root = tmp_path_factory.mktemp("bases")
    for name, make in MAKERS.items():
        make(len(gpt2_like)).save_pretrained(root / name)
        gpt2_like.save_pretrained(root / name)
    return {name: root / name for name in MAKERS}


def threads(count: int = 24) -> list[Thread]:
    """Threads of differing lengths; every fifth is held out."""
    rows = []
    for at in range(count):
        topic = _TOPICS[at % len(_TOPICS)]
        turns = [
            Turn("customer", f"Hello, my {topic} does not work since Monday. " + "Please help me. " * (at % 5)),
            Turn("agent", f"Hi {{name}},\n\nOpen Settings, choose {topic}, and press Save. Write back if it stays so."),
        ]
        if at % 3 == 0:
            turns += [
                Turn("customer", f"And where is the {topic} page?"),
                Turn("agent", f"Under Settings, then {topic}."),
                Turn("customer", "Thank you!"),
            ]
        rows.append(
            Thread(
                id=f"t{at:03}",
                subject=f"Problem with {topic}" if at % 4 else "",
                turns=tuple(turns),
                outcome=("success", "success", "failure", "unknown")[at % 4],
                outcome_rule="test",
                language="en",
                category=None,
                group=f"g{at}",
                split="heldout" if at % 5 == 0 else "train",
            )
        )
    return rows


def articles() -> list[Article]:
    return [
        Article(
            id=f"a{at}",
            title=f"How to use {topic}",
            category="Basics",
            text=f"To use {topic}, open Settings and choose {topic}. " * (1 + at),
            language="en",
        )
        for at, topic in enumerate(_TOPICS)
    ]


def write_prepared(folder: Path, own_articles: list[Article], own_threads: list[Thread]) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "articles.jsonl").write_bytes(b"".join(map(canonical, own_articles)))
    (folder / "threads.jsonl").write_bytes(b"".join(map(canonical, own_threads)))
    report = {"fingerprint": fingerprint(own_articles, own_threads)}
    (folder / "report.json").write_text(json.dumps(report), "utf-8")
    return folder


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A prepared folder."""
    return write_prepared(tmp_path_factory.mktemp("prepared"), articles(), threads())


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> TrainingSettings:
    """Settings with a runs folder of this test alone and no database."""
    monkeypatch.delenv("DATABASE_URL", raising=False)
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "runs"))
    return TrainingSettings(_env_file=None, runs_dir=tmp_path / "runs", model_cache_dir=tmp_path / "models")


def recipe_of(base: Path | str, data: Path, **changes: Any) -> Recipe:
    """Return a quick recipe; `changes` replace whole keys."""
    document: dict[str, Any] = {
        "name": "quick",
        "base": str(base),
        "dtype": "float32",
        "data": {"path": str(data), "max_tokens": 96, "outcomes": ["success", "unknown", "failure"]},
        "lora": {"rank": 4, "alpha": 8},
        "optimizer": {"learning_rate": 0.01, "schedule": "constant", "warmup_share": 0.0},
        "batch": {"rows": 4, "rows_at_once": 2},
        "length": {"max_steps": 6},
        "evaluation": {"every_steps": 3, "answers": 0, "early_stop": None},
    }
    document.update(changes)
    return parse_recipe(document, "test")
