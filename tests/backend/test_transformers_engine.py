"""The batched engine writes, token for token, what plain `generate` writes, alone and in mixed batches."""

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from backend.engines.base import Finished, Job
from backend.engines.detokenizer import Detokenizer
from backend.engines.local_model import load
from backend.engines.lora_batch import fuse_adapters
from backend.engines.rows import Row, WatchRows
from backend.engines.transformers_engine import TransformersEngine
from backend.settings import Settings
from replybench.errors import Busy, ConfigError
from replybench.lineups import Candidate, Generation
from replybench.prompts import PromptFormat, Turn, study_prompt
from tests.backend.tiny_models import make_adapter, make_gptj, make_llama, make_tokenizer

QUESTIONS = ("Where is my money?", "Як скасувати внесок? " * 4, "Hello", "I forgot my password " * 6)
MAKERS = {"llama": make_llama, "gptj": make_gptj}


@pytest.fixture(scope="session", params=["llama", "gptj"])
def home(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a tiny base and two adapters of different rank on it."""
    folder = tmp_path_factory.mktemp(request.param)
    base = MAKERS[request.param](folder / "base")
    make_adapter(base, folder / "one", seed=1, rank=8)
    make_adapter(base, folder / "two", seed=2, rank=4)
    return folder


@pytest.fixture(scope="session")
def test_settings() -> Settings:
    return Settings(_env_file=None, database_url="postgresql://none", api_key="x" * 20, gather_ms=30, threads=1)


@pytest.fixture(scope="session")
def model(home: Path, test_settings: Settings) -> Any:
    """The base with both adapters, as the engine loads it."""
    return load(candidates(home), test_settings, print)


def candidates(home: Path, **generation: Any) -> list[Candidate]:
    """Two fine-tuned candidates and their base, in float32."""
    settings = Generation(**{"max_new_tokens": 24, **generation})
    return [
        Candidate(
            key=key,
            name=key,
            engine="transformers",
            base=str(home / "base"),
            adapter=str(home / key) if key != "base" else None,
            dtype="float32",
            prompt=PromptFormat.STUDY,
            max_prompt_tokens=200,
            generation=settings,
        )
        for key in ("one", "two", "base")
    ]


def plain(home: Path, adapter: str, text: str, **options: Any) -> list[int]:
    """What `generate` writes for one prompt with one adapter: the reference, without any of our code."""
    tokenizer, model = _reference(home, adapter)
    inputs = tokenizer([study_prompt("", [Turn("customer", text)])], return_tensors="pt")
    options = {"max_new_tokens": 24, "do_sample": False, "pad_token_id": tokenizer.eos_token_id, **options}
    with torch.inference_mode():
        output = model.generate(input_ids=inputs.input_ids, attention_mask=inputs.attention_mask, **options)
    written: list[int] = output[0, inputs.input_ids.shape[1] :].tolist()
    return written[:-1] if written[-1] == tokenizer.eos_token_id else written


@cache
def _reference(home: Path, adapter: str) -> tuple[Any, Any]:
    model: Any = AutoModelForCausalLM.from_pretrained(home / "base", dtype=torch.float32)
    if adapter != "base":
        model = PeftModel.from_pretrained(model, home / adapter)
    return AutoTokenizer.from_pretrained(home / "base"), model.eval()


def row_of(model: Any, candidate: Candidate, text: str, **others: Any) -> Row:
    prompt = model.tokenizer(study_prompt("", [Turn("customer", text)]))["input_ids"]
    values: dict[str, Any] = {"markers": (), "emit": lambda _: None, "limit": candidate.generation.max_new_tokens}
    return Row(
        prompt=prompt,
        was_cut=False,
        adapter=model.adapter_name(candidate),
        settings=candidate.generation,
        tokenizer=model.tokenizer,
        **{**values, **others},
    )


def write(model: Any, rows: Sequence[Row]) -> list[list[int]]:
    model.write(rows, WatchRows(rows, model.ends, lambda _: False))
    return [row.written for row in rows]


def test_mixed_batches_equal_plain_generate(home: Path, model: Any) -> None:
    expected, rows = [], []
    for number, text in enumerate(QUESTIONS):
        candidate = candidates(home)[number % 3]
        expected.append(plain(home, candidate.key, text))
        rows.append(row_of(model, candidate, text))
    for candidate in candidates(home):
        expected.append(plain(home, candidate.key, QUESTIONS[0]))
        rows.append(row_of(model, candidate, QUESTIONS[0]))
    assert write(model, rows) == expected
    assert len({tuple(ids) for ids in expected[-3:]}) == 3, "the adapters must differ, or this test proves nothing"


@pytest.mark.parametrize("key", ["one", "two", "base"])
def test_alone_equals_plain_generate(home: Path, model: Any, key: str) -> None:
    candidate = next(c for c in candidates(home) if c.key == key)
    assert write(model, [row_of(model, candidate, QUESTIONS[1])]) == [plain(home, key, QUESTIONS[1])]


def test_settings_of_a_row_equal_generates_own(home: Path, model: Any) -> None:
    options = {"repetition_penalty": 1.3, "no_repeat_ngram_size": 3}
    rows = [row_of(model, c, QUESTIONS[0]) for c in candidates(home, **options)]
    rows += [row_of(model, c, QUESTIONS[1]) for c in candidates(home)]
    expected = [plain(home, key, QUESTIONS[0], **options) for key in ("one", "two", "base")]
    expected += [plain(home, key, QUESTIONS[1]) for key in ("one", "two", "base")]
    assert write(model, rows) == expected


def test_fused_adapters_equal_pefts_own_mixed_batch(home: Path) -> None:
    def build() -> Any:
        base: Any = AutoModelForCausalLM.from_pretrained(home / "base", dtype=torch.float32)
        model = PeftModel.from_pretrained(base, home / "one", adapter_name="one")
        model.load_adapter(home / "two", adapter_name="two")
        return model.eval()

    ids = torch.randint(2, 300, (4, 9), generator=torch.Generator().manual_seed(3))
    names = ["one", "__base__", "two", "one"]
    fused = build()
    assert fuse_adapters(fused) > 0
    with torch.inference_mode():
        expected = build()(input_ids=ids, adapter_names=names).logits
        torch.testing.assert_close(fused(input_ids=ids, adapter_names=names).logits, expected, rtol=1e-4, atol=1e-4)
        alone = build()(input_ids=ids, adapter_names=["__base__"] * 4).logits
        torch.testing.assert_close(fused(input_ids=ids, adapter_names=["__base__"] * 4).logits, alone)


def test_a_batch_made_up_anew_goes_on_where_it_was(home: Path, model: Any) -> None:
    first = row_of(model, candidates(home)[0], QUESTIONS[0])
    model.write([first], WatchRows([first], model.ends, lambda steps: steps >= 7))
    assert len(first.written) == 7
    second = row_of(model, candidates(home)[1], QUESTIONS[1])
    assert write(model, [first, second]) == [plain(home, "one", QUESTIONS[0]), plain(home, "two", QUESTIONS[1])]


def test_a_seed_gives_the_same_text_alone_and_in_a_batch(home: Path, model: Any) -> None:
    sampled = candidates(home, temperature=0.9, top_p=0.95, seed=7)
    [alone] = write(model, [row_of(model, sampled[0], QUESTIONS[0])])
    batch = [row_of(model, sampled[0], QUESTIONS[0])] + [row_of(model, c, q) for c in sampled for q in QUESTIONS[1:3]]
    assert write(model, batch)[0] == alone
    other = candidates(home, temperature=0.9, top_p=0.95, seed=8)[0]
    assert write(model, [row_of(model, other, QUESTIONS[0])]) != [alone]


def test_sampling_follows_the_models_distribution(home: Path, model: Any) -> None:
    rows = [
        row_of(model, candidates(home, temperature=2.0, seed=seed, max_new_tokens=1)[2], "Hello") for seed in range(400)
    ]
    firsts = [ids[0] if ids else None for ids in write(model, rows)]
    prompt = torch.tensor([rows[0].prompt])
    with torch.inference_mode():
        logits = model.model(input_ids=prompt, adapter_names=["__base__"]).logits[0, -1].float()
    likely = torch.softmax(logits / 2.0, dim=-1)
    token = int(likely.argmax())
    share, expected = firsts.count(token) / len(firsts), float(likely[token])
    assert abs(share - expected) < 4 * (expected * (1 - expected) / len(firsts)) ** 0.5 + 1e-9


@pytest.fixture
async def engine(home: Path, test_settings: Settings) -> AsyncIterator[TransformersEngine]:
    running = TransformersEngine(candidates(home), test_settings)
    await running.start()
    yield running
    await running.close()


def job(candidate: Candidate, text: str = QUESTIONS[0], **others: Any) -> Job:
    return Job(candidate, "", (Turn("customer", text),), **others)


async def collected(engine: TransformersEngine, wanted: Job) -> tuple[str, Finished]:
    text = ""
    async for piece in engine.stream(wanted):
        if isinstance(piece, Finished):
            return text, piece
        text += piece
    raise AssertionError("the stream ended without telling how")


async def test_streams_of_many_tickets_equal_plain_generate(home: Path, engine: TransformersEngine) -> None:
    wanted = [(candidate, text) for text in QUESTIONS for candidate in candidates(home)]
    results = await asyncio.gather(*(collected(engine, job(*pair)) for pair in wanted))
    tokenizer = AutoTokenizer.from_pretrained(home / "base")
    for (candidate, text), (written, finished) in zip(wanted, results, strict=True):
        ids = plain(home, candidate.key, text)
        assert written.rstrip("\ufffd") == str(tokenizer.decode(ids, skip_special_tokens=True)).rstrip("\ufffd")
        assert finished.completion_tokens == len(ids)
        assert finished.cut == (("output",) if finished.reason == "length" else ())


async def test_newcomers_join_a_running_batch(home: Path, engine: TransformersEngine) -> None:
    long = candidates(home, max_new_tokens=150)[0]
    running = asyncio.create_task(collected(engine, job(long)))
    await asyncio.sleep(0.05)
    text, _ = await collected(engine, job(candidates(home, max_new_tokens=2)[1]))
    assert not running.done() or len((await running)[0]) < 40, "the newcomer waited for the whole batch"
    assert text == AutoTokenizer.from_pretrained(home / "base").decode(plain(home, "two", QUESTIONS[0])[:2])
    await running


async def test_cancelling_frees_the_place_at_once(home: Path, engine: TransformersEngine) -> None:
    stream = engine.stream(job(candidates(home, max_new_tokens=180)[0]))
    await anext(stream)
    await stream.aclose()
    for _ in range(500):
        if engine.describe().waiting == 0:
            return
        await asyncio.sleep(0.02)
    raise AssertionError("the place is still taken")


async def test_one_broken_row_leaves_the_others_alone(
    home: Path, engine: TransformersEngine, monkeypatch: pytest.MonkeyPatch
) -> None:
    own = engine._model.write

    def breaks(rows: Sequence[Row], watch: WatchRows) -> None:
        if any(row.prompt[-1] == -1 for row in rows):
            raise RuntimeError("broken")
        own(rows, watch)

    monkeypatch.setattr(engine._model, "write", breaks)
    make_row = engine._row

    def spoil(wanted: Job, emit: Callable[[Any], None]) -> Any:
        row = make_row(wanted, emit)
        if wanted.turns[-1].text == "spoil":
            row.prompt[-1] = -1
        return row

    monkeypatch.setattr(engine, "_row", spoil)
    good = [collected(engine, job(candidate)) for candidate in candidates(home)]
    results = await asyncio.gather(*good, collected(engine, job(candidates(home)[0], "spoil")), return_exceptions=True)
    assert [isinstance(result, tuple) for result in results] == [True, True, True, False]
    assert "Ask again" in str(results[-1])


async def test_a_full_queue_refuses(home: Path, test_settings: Settings) -> None:
    engine = TransformersEngine(candidates(home), test_settings.model_copy(update={"max_waiting": 0}))
    await engine.start()
    with pytest.raises(Busy):
        await collected(engine, job(candidates(home)[0]))
    await engine.close()


async def test_long_prompts_are_cut_and_it_is_said(home: Path, engine: TransformersEngine) -> None:
    _, finished = await collected(engine, job(candidates(home)[0], "word " * 3000))
    assert finished.prompt_tokens is not None and finished.prompt_tokens <= 200
    assert "prompt" in finished.cut


async def test_stop_texts_end_a_row(home: Path, engine: TransformersEngine) -> None:
    whole, _ = await collected(engine, job(candidates(home)[2]))
    stop = whole[6:9]
    text, finished = await collected(engine, job(candidates(home)[2], stop=(stop,)))
    assert finished.reason == "stop"
    assert stop in text and len(text) <= whole.index(stop) + len(stop) + 12


def test_memory_is_told_per_base_and_adapter(home: Path, model: Any) -> None:
    base, adapters = model.memory_mib()
    weights = (home / "base" / "model.safetensors").stat().st_size / 2**20
    assert base == pytest.approx(weights, rel=0.25)
    for name in ("one", "two"):
        size = (home / name / "adapter_model.safetensors").stat().st_size / 2**20
        assert adapters[str(home / name)] == pytest.approx(size, rel=0.1)


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"base": "/nowhere/at/all"}, "could not be loaded"),
        ({"quantisation": "nf4"}, "needs a GPU"),
    ],
)
def test_what_cannot_be_loaded_is_told(home: Path, test_settings: Settings, changes: Any, words: str) -> None:
    broken = [candidate.model_copy(update=changes) for candidate in candidates(home)]
    if changes.get("quantisation") and torch.cuda.is_available():
        pytest.skip("there is a GPU")
    with pytest.raises(ConfigError, match=words):
        load(broken, test_settings, print)


def test_an_adapter_of_another_base_is_told(
    home: Path, test_settings: Settings, tmp_path: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    other = make_gptj(tmp_path / "gptj") if "llama" in home.name else make_llama(tmp_path / "llama")
    make_adapter(other, tmp_path / "strange", seed=3)
    mixed = candidates(home)[0].model_copy(update={"adapter": str(tmp_path / "strange")})
    with pytest.raises(ConfigError, match="does not fit its base"):
        load([mixed], test_settings, print)


def test_characters_are_never_broken(tmp_path: Path) -> None:
    tokenizer = make_tokenizer(tmp_path, vocabulary=300)
    text = "Ціна: 5 € 👍🏽, naïve – 日本語 “так”. Done"
    detokenizer = Detokenizer(tokenizer)
    pieces = [detokenizer.add(token) for token in tokenizer(text)["input_ids"]]
    assert "".join(pieces) + detokenizer.rest() == text
    assert all("\ufffd" not in piece for piece in pieces)
    half = Detokenizer(tokenizer)
    shown = "".join(half.add(token) for token in tokenizer("ok 👍")["input_ids"][:-1]) + half.rest()
    assert shown.strip() == "ok"
