"""The fast engine: an export is as good as what it was made from, or is refused; the process may die, nobody waits."""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import pytest_asyncio
import torch
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer

from backend.engines import export, threads
from backend.engines.base import EngineFailure, Finished, Job
from backend.engines.export import ExportProcess, ExportRefused, ExportReport, export_candidate, read_report
from backend.engines.fast_engine import FastEngine
from backend.engines.pool import make_engines, read_lineup
from backend.engines.threads import processor_threads
from backend.engines.transformers_engine import TransformersEngine
from backend.settings import Settings
from replybench.errors import Busy, ConfigError
from replybench.lineups import Candidate, Generation, Lineup
from replybench.prompts import Turn, study_prompt
from tests.backend.tiny_models import make_adapter, make_gptj, make_llama

pytest.importorskip("openvino_genai", reason="no build of OpenVINO GenAI for this system")
QUESTION = "Where is my money?"


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("fast")
    base = make_llama(folder / "base")
    make_adapter(base, folder / "one", seed=1, rank=8)
    return folder


def candidate(home: Path, key: str = "one", **changes: Any) -> Candidate:
    settings = {"generation": Generation(max_new_tokens=16), "max_prompt_tokens": 200, **changes}
    adapter = str(home / key) if (home / key).is_dir() and key != "base" else None
    return Candidate(key=key, name=key, engine="fast", base=str(home / "base"), adapter=adapter, **settings)


@pytest.fixture(scope="module")
def unsure(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A model as wide as SmolLM2-135M, to which many tokens are nearly as likely: how a sum is rounded shows."""
    folder = tmp_path_factory.mktemp("unsure")
    widths = {"hidden_size": 576, "intermediate_size": 1536, "num_attention_heads": 9, "num_key_value_heads": 3}
    make_llama(folder / "base", **widths, num_hidden_layers=12, initializer_range=0.05)
    return folder


@pytest.fixture(scope="module")
def settings(home: Path) -> Settings:
    cache = home / "cache"
    return Settings(
        _env_file=None, database_url="postgresql://none", api_key="x" * 20, model_cache_dir=cache, threads=1,
        max_waiting=4, max_batch_rows=4,
    )  # fmt: skip


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def engine(home: Path, settings: Settings) -> AsyncIterator[FastEngine]:
    made = FastEngine([candidate(home), candidate(home, "base")], settings)
    await made.start()
    yield made
    await made.close()


def job(home: Path, key: str = "one", text: str = QUESTION, **generation: Any) -> Job:
    return Job(
        candidate(home, key),
        "",
        (Turn("customer", text),),
        generation=Generation(**{"max_new_tokens": 16, **generation}),
    )


async def write(engine: Any, wanted: Job) -> tuple[str, Finished]:
    text = ""
    async for item in engine.stream(wanted):
        if isinstance(item, Finished):
            return text, item
        text += item
    raise AssertionError("no end")


def test_the_export_is_within_a_percent_of_transformers(home: Path, settings: Settings) -> None:
    report = export_candidate(candidate(home), settings.model_cache_dir)
    assert abs(report.difference) < 0.01
    assert report.target_tokens > 300
    assert read_report(candidate(home), settings.model_cache_dir) == report


def test_the_reference_is_the_loss_of_this_very_adapter(home: Path, settings: Settings) -> None:
    """Taken apart by hand for one text, with PEFT and without our code."""
    tokenizer = AutoTokenizer.from_pretrained(home / "base")
    model = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(home / "base"), home / "one").eval()
    ids = tokenizer("### Question: Where is my money?\n### Answer: It is on its way.\n")["input_ids"]
    labels = [-100] * 10 + ids[10:]
    with torch.no_grad():
        loss = float(model(torch.tensor([ids]), labels=torch.tensor([labels])).loss)
    report = export_candidate(candidate(home), settings.model_cache_dir, held_out=[(ids, labels)], texts="one text")
    assert report.reference_loss == pytest.approx(loss, rel=1e-4)
    assert report.texts == "one text"
    base = export_candidate(candidate(home, "base"), settings.model_cache_dir, held_out=[(ids, labels)])
    assert base.reference_loss != pytest.approx(loss, rel=1e-3)


def test_an_export_that_is_worse_is_refused_and_not_kept(
    home: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """A broken conversion (a matrix that is not turned into GGUF's order) must not get through."""
    from backend.engines import gguf_file

    monkeypatch.setattr(gguf_file, "_interleaved", lambda weights, heads: weights[::-1])
    monkeypatch.setattr(export, "TOLERANCE", 1e-6)  # tiny random models differ little whatever is done to them
    with pytest.raises(ExportRefused, match="held-out loss"):
        export_candidate(candidate(home), tmp_path)
    assert read_report(candidate(home), tmp_path) is None
    assert not list((tmp_path / "fast").iterdir())


def test_two_who_need_the_same_export_make_it_once(home: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two backends that start at once, say. What a killed one left behind goes, too."""
    made: list[ExportReport] = []
    make = export._make

    def counted(*arguments: Any) -> ExportReport:
        made.append(make(*arguments))
        return made[-1]

    monkeypatch.setattr(export, "_make", counted)
    (tmp_path / "fast" / ".half-made").mkdir(parents=True)
    with ThreadPoolExecutor(2) as pool:
        reports = list(pool.map(lambda _: export._export(candidate(home), tmp_path, 1), range(2)))
    assert reports == made * 2
    assert [path.name for path in (tmp_path / "fast").iterdir()] == [Path(made[0].folder).name]


def end_at_once(*_: Any) -> None:
    os._exit(9)


def test_a_process_that_dies_while_it_exports_is_that_candidates_failure_alone(
    home: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    with ExportProcess() as process:
        with monkeypatch.context() as patch, pytest.raises(ExportRefused, match="ended before it was done"):
            patch.setattr(export, "_export", end_at_once)
            process.export(candidate(home), settings.model_cache_dir)
        assert process.export(candidate(home), settings.model_cache_dir).difference < 0.01


def test_another_base_in_the_same_folder_is_another_export(tmp_path: Path) -> None:
    make_llama(tmp_path / "base")
    wanted = candidate(tmp_path, "base")
    before = export.export_folder(wanted, tmp_path)
    assert export.export_folder(wanted, tmp_path) == before
    (tmp_path / "base" / "model.safetensors").write_bytes(b"trained again")
    assert export.export_folder(wanted, tmp_path) != before


async def test_what_keeps_it_from_being_ready_is_told(
    home: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = FastEngine([candidate(home)], settings)
    seen: list[str] = []

    def exporting(_: Candidate, __: Path, progress: Any, ___: Any) -> Any:
        progress("Exporting 'one'")
        seen.append(engine.describe().doing)
        raise ConfigError("It cannot be exported.")

    monkeypatch.setattr(export, "ensure_exported", exporting)
    with pytest.raises(ConfigError, match="cannot be exported"):
        await engine.start()
    assert seen == ["Exporting 'one'"]


def test_threads_are_what_the_process_may_use(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: set(range(8)), raising=False)
    monkeypatch.setattr(threads, "_QUOTA", tmp_path / "cpu.max")
    assert processor_threads() == 8, "no limit is known"
    for quota, expected in (("max 100000", 8), ("150000 100000", 2), ("50000 100000", 1), ("990000 100000", 8)):
        (tmp_path / "cpu.max").write_text(f"{quota}\n", "utf-8")
        assert processor_threads() == expected
    assert processor_threads(3) == 3


def test_a_kind_of_model_that_the_engine_does_not_know_is_refused_by_name(tmp_path: Path) -> None:
    make_gptj(tmp_path / "base")
    with pytest.raises(ExportRefused, match="GPTJForCausalLM"):
        export_candidate(candidate(tmp_path, "base"), tmp_path / "cache")


@pytest.mark.parametrize("sampling", [{}, {"temperature": 0.9, "seed": 7}])
async def test_in_float32_an_answer_does_not_depend_on_what_is_written_beside_it(
    unsure: Path, settings: Settings, sampling: dict[str, Any]
) -> None:
    roomy = settings.model_copy(update={"max_waiting": 32, "max_batch_rows": 8, "threads": 2})
    engine = FastEngine([candidate(unsure, "base", dtype="float32")], roomy)
    await engine.start()
    texts = [f"{'Where is my order? ' * (at % 5)}It is number {at}." for at in range(16)]
    asked = [job(unsure, "base", text, max_new_tokens=48, **sampling) for text in texts]
    alone = [(await write(engine, one))[0] for one in asked]
    together = [text for text, _ in await asyncio.gather(*(write(engine, one) for one in asked))]
    await engine.close()
    assert together == alone
    assert len(set(alone)) > 4


def test_settings_that_it_would_ignore_are_refused(home: Path, settings: Settings) -> None:
    with pytest.raises(ConfigError, match="no_repeat_ngram_size"):
        FastEngine([candidate(home, generation=Generation(no_repeat_ngram_size=3))], settings)
    with pytest.raises(ConfigError, match="quantisation"):
        FastEngine([candidate(home, quantisation="nf4")], settings)
    with pytest.raises(ConfigError, match="dtype"):
        FastEngine([candidate(home, dtype="bfloat16")], settings)


@pytest.mark.asyncio(loop_scope="module")
async def test_it_gets_the_same_prompt_as_the_transformers_engine(engine: FastEngine, home: Path) -> None:
    _, finished = await write(engine, job(home))
    tokenizer = AutoTokenizer.from_pretrained(home / "base")
    assert finished.prompt_tokens == len(tokenizer(study_prompt("", [Turn("customer", QUESTION)]))["input_ids"])


@pytest.mark.asyncio(loop_scope="module")
async def test_candidates_and_tickets_at_once_write_what_they_write_alone(engine: FastEngine, home: Path) -> None:
    jobs = [job(home, "one"), job(home, "base"), job(home, "one", "Hello"), job(home, "base", "I forgot it " * 9)]
    alone = [await write(engine, wanted) for wanted in jobs]
    together = await asyncio.gather(*(write(engine, wanted) for wanted in jobs))
    assert list(together) == alone
    assert alone[0][0] != alone[1][0]


@pytest.mark.asyncio(loop_scope="module")
async def test_the_limit_and_a_cut_prompt_are_told(engine: FastEngine, home: Path) -> None:
    _, finished = await write(engine, job(home, text="word " * 900, max_new_tokens=3))
    assert finished.prompt_tokens is not None and finished.prompt_tokens <= 200
    assert "prompt" in finished.cut
    assert finished.reason == "stop" or ("output" in finished.cut and finished.completion_tokens == 3)


@pytest.mark.asyncio(loop_scope="module")
async def test_a_seed_repeats_a_text_and_another_seed_changes_it(engine: FastEngine, home: Path) -> None:
    texts = [(await write(engine, job(home, temperature=1.5, seed=seed)))[0] for seed in (1, 1, 2)]
    assert texts[0] == texts[1] != texts[2]


@pytest.mark.asyncio(loop_scope="module")
async def test_the_queue_is_bounded_and_closing_a_stream_frees_its_place(engine: FastEngine, home: Path) -> None:
    streams = [engine.stream(job(home, max_new_tokens=200)) for _ in range(4)]
    await asyncio.gather(*(anext(stream) for stream in streams))
    with pytest.raises(Busy):
        await write(engine, job(home))
    await streams[0].aclose()
    assert engine.describe().waiting == 3
    await write(engine, job(home))
    for stream in streams[1:]:
        await stream.aclose()
    assert engine.describe().waiting == 0


@pytest.mark.asyncio(loop_scope="module")
async def test_a_process_that_dies_is_told_and_started_again(engine: FastEngine, home: Path) -> None:
    stream = engine.stream(job(home, max_new_tokens=200))
    await anext(stream)
    assert engine._worker is not None
    os.kill(engine._worker._process.pid, signal.SIGKILL)
    with pytest.raises(EngineFailure, match="started again"):
        async for _ in stream:
            pass
    async with asyncio.timeout(120):
        while engine._worker._connection is None:  # noqa: ASYNC110  # a thread sets it
            await asyncio.sleep(0.05)
    assert (await write(engine, job(home)))[1].completion_tokens


def test_without_the_library_the_transformers_engine_serves_and_the_snapshot_says_so(
    home: Path, settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("backend.engines.fast_engine.is_installed", lambda: False)
    lineup = f'name = "x"\ntitle = "X"\n[[candidates]]\nkey = "a"\nname = "A"\nengine = "fast"\nbase = "{home}/base"\n'
    (tmp_path / "lineup.toml").write_text(lineup, "utf-8")
    read = read_lineup(settings.model_copy(update={"lineup": tmp_path / "lineup.toml"}))
    assert [candidate.engine for candidate in read.candidates] == ["transformers"]
    assert isinstance(make_engines(read, settings)["a"], TransformersEngine)


def test_all_fast_candidates_share_one_engine(home: Path, settings: Settings) -> None:
    lineup = Lineup(name="x", title="X", candidates=(candidate(home), candidate(home, "base")))
    engines = make_engines(lineup, settings)
    assert engines["one"] is engines["base"]
