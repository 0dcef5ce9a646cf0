"""Several bases in one process: all answer one ticket, each is told, and none is made while another is."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import torch
from sqlalchemy import text
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel

from backend.engines import loading
from backend.engines.loading import Room, bytes_to_load, weight_files
from backend.engines.local_model import load
from backend.settings import Settings
from replybench.lineups import Candidate
from replybench.prompts import Turn, clean_answer, storable, study_prompt
from tests.backend.conftest import asked, finished, make_settings, serving
from tests.backend.tiny_models import make_adapter, make_gptj, make_llama

BLOCK = """
[[candidates]]
key = "{key}"
name = "{key}"
engine = "transformers"
base = "{base}"
dtype = "float32"
prompt = "study"
max_prompt_tokens = 128
generation = {{ max_new_tokens = 12 }}
"""
SCRIPTED = """
[[candidates]]
key = "beside"
name = "beside"
engine = "scripted"
script = 'text = "I am written down."'
"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two bases: a Llama with two adapters, a GPT-J with one."""
    folder = tmp_path_factory.mktemp("bases")
    make_llama(folder / "llama")
    make_gptj(folder / "gptj")
    for base, name, seed in (("llama", "first", 1), ("llama", "second", 2), ("gptj", "third", 3)):
        make_adapter(folder / base, folder / name, seed=seed)
    return folder


def block(home: Path, key: str, base: str) -> str:
    plain_block = BLOCK.format(key=key, base=home / base)
    return f'{plain_block}adapter = "{home / key}"\n' if key != base else plain_block


def plain(home: Path, key: str, base: str, ticket: str) -> str:
    """What the candidate writes with nothing but the libraries: its own base, its own adapter, `generate`."""
    tokenizer = AutoTokenizer.from_pretrained(home / base)
    model: Any = AutoModelForCausalLM.from_pretrained(home / base, dtype=torch.float32)
    if key != base:
        model.load_adapter(str(home / key))
    inputs = tokenizer([study_prompt("", [Turn("customer", ticket)])], return_tensors="pt")
    written = model.eval().generate(
        input_ids=inputs.input_ids, attention_mask=inputs.attention_mask, max_new_tokens=12, do_sample=False
    )
    return str(tokenizer.decode(written[0, inputs.input_ids.shape[1] :], skip_special_tokens=True))


def test_two_bases_three_adapters_and_a_script_answer_one_ticket(home: Path, database_url: str, tmp_path: Path) -> None:
    wanted = [("first", "llama"), ("second", "llama"), ("third", "gptj"), ("gptj", "gptj")]
    lineup = 'name = "mixed"\ntitle = "Mixed"\n' + "".join(block(home, *pair) for pair in wanted) + SCRIPTED
    with serving(make_settings(database_url, tmp_path, lineup, threads=1)) as backend, backend.client() as client:
        ended = finished(client, asked(client, "Where is my money?")["id"])
        engines = client.get("/api/engines").json()["engines"]
        checks = client.get("/readyz").json()["checks"]
        snapshots = {seat.snapshot.id: seat.candidate.key for seat in backend.app.state.desk.roster.seats}
        with backend.database.connect() as connection:
            rows = connection.execute(text("SELECT candidate_id, text FROM answer")).all()
    assert {answer["status"] for answer in ended["answers"]} == {"done"}
    written = {snapshots[row.candidate_id]: row.text for row in rows}
    assert written.pop("beside") == "I am written down."
    assert {key: shown(written[key]) for key, _ in wanted} == {
        key: shown(plain(home, key, base, "Where is my money?")) for key, base in wanted
    }
    assert set(checks) == {"database", "llama", "gptj", "scripted"} and set(checks.values()) == {"ok"}
    told = {engine["title"]: engine for engine in engines}
    assert told["llama"]["candidates"] == ["first", "second"]
    for base, adapters in (("llama", ["first", "second"]), ("gptj", ["third"])):
        assert told[base]["memory_mib"] == pytest.approx(mib(home / base / "model.safetensors"), rel=0.3)
        assert {Path(name).name for name in told[base]["adapters"]} == set(adapters)
        for name in adapters:
            size = mib(home / name / "adapter_model.safetensors")
            assert told[base]["adapters"][str(home / name)] == pytest.approx(size, rel=0.1)


def shown(words: str) -> str:
    """What a rater sees of a text: nothing after the agent's turn, no space around it, no half of a character."""
    return storable(clean_answer(words)[0]).rstrip("\ufffd")


def mib(file: Path) -> float:
    return file.stat().st_size / 2**20


def candidate(home: Path, base: str, dtype: Any = "float32") -> Candidate:
    adapter = str(home / ("first" if base == "llama" else "third"))
    return Candidate(key="a", name="A", engine="transformers", base=str(home / base), adapter=adapter, dtype=dtype)


@pytest.fixture
def settings() -> Settings:
    return Settings(_env_file=None, database_url="postgresql://none", api_key="x" * 20, threads=1)


def test_bases_that_load_at_once_do_not_spoil_each_other(home: Path, settings: Settings) -> None:
    """Transformers patches its own classes while it makes a model; two threads in there would leave them patched."""
    ties, dtype = PreTrainedModel.tie_weights, torch.get_default_dtype()
    kinds = [("llama", "float32"), ("gptj", "bfloat16"), ("llama", "bfloat16"), ("gptj", "float32")] * 3
    with ThreadPoolExecutor(len(kinds)) as pool:
        models = list(pool.map(lambda kind: load([candidate(home, *kind)], settings, print), kinds))
    assert PreTrainedModel.tie_weights is ties
    assert torch.get_default_dtype() == dtype
    for (_, wanted), model in zip(kinds, models, strict=True):
        assert {parameter.dtype for parameter in model.model.parameters()} == {getattr(torch, wanted)}


def test_one_base_at_a_time_is_put_together(home: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    inside, most = 0, 0
    own = AutoModelForCausalLM.from_pretrained

    def watched(*arguments: Any, **options: Any) -> Any:
        nonlocal inside, most
        inside += 1
        most = max(most, inside)
        time.sleep(0.05)
        try:
            return own(*arguments, **options)
        finally:
            inside -= 1

    monkeypatch.setattr(AutoModelForCausalLM, "from_pretrained", watched)
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda base: load([candidate(home, base)], settings, print), ["llama", "gptj"] * 2))
    assert most == 1


def held(room: Room, wanted: int | None, may_end: threading.Event) -> threading.Event:
    """Take a place in the room in another thread; the event tells when it is in."""
    is_in = threading.Event()

    def load_something() -> None:
        with room.of(wanted):
            is_in.set()
            may_end.wait(10)

    threading.Thread(target=load_something, daemon=True).start()
    return is_in


def test_they_load_side_by_side_where_memory_allows_and_else_in_turn() -> None:
    room, may_end = Room(lambda: 100), threading.Event()
    first, second = held(room, 40, may_end), None
    assert first.wait(5)
    second = held(room, 40, may_end)
    assert second.wait(5), "there is room for both"
    third = held(room, 40, may_end)
    assert not third.wait(0.2), "all three do not fit"
    may_end.set()
    assert third.wait(5)


@pytest.mark.parametrize("wanted", [None, 10**12])
def test_what_nobody_knows_or_what_never_fits_loads_alone(wanted: int | None) -> None:
    room, may_end = Room(lambda: 100), threading.Event()
    assert held(room, 1, may_end).wait(5)
    alone = held(room, wanted, may_end)
    assert not alone.wait(0.2)
    may_end.set()
    assert alone.wait(5)


def test_what_a_base_takes_follows_from_its_files(home: Path, tmp_path: Path) -> None:
    files = weight_files(str(home / "llama"), None)
    assert files == [home / "llama" / "model.safetensors"]
    size = files[0].stat().st_size
    assert bytes_to_load(files, candidate(home, "llama", "bfloat16")) == size
    assert bytes_to_load(files, candidate(home, "llama")) == 2 * size
    packed = candidate(home, "llama", "bfloat16").model_copy(update={"quantisation": "nf4"})
    assert bytes_to_load(files, packed) == int(0.3 * size)
    assert weight_files("nobody/nothing-of-this-name", None) is None
    assert bytes_to_load(None, packed) is None
    loading.read_ahead(files)
