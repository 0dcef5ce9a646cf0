"""A run becomes a candidate of the fast engine at once, proved on the run's own held-out split, or not at all."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from peft import PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
from typer.testing import CliRunner, Result

from backend.engines import export
from backend.engines.export import read_report
from replybench.cli import load
from replybench.errors import ConfigError
from replybench.lineups import Candidate, load_lineup
from replybench.prompts import Turn
from tests.backend.tiny_models import make_adapter, make_llama
from tests.training.finetune.conftest import articles, recipe_of, threads, write_prepared
from training.dataset import load_prepared
from training.finetune.heldout import heldout_texts
from training.finetune.losses import heldout_loss
from training.finetune.recipe import Recipe, dump_recipe
from training.finetune.run_folder import RunFolder, RunState, run_folder, utc_now
from training.finetune.texts import heldout_rows
from training.preferences.folder import write_preferences
from training.preferences.pairs import Label, Made, Pair, Provenance, Rules
from training.settings import TrainingSettings

pytest.importorskip("openvino_genai", reason="no build of OpenVINO GenAI for this system")

LINEUP = """
name = "lab"
title = "Lab"
[[candidates]]
key = "old"
name = "Old"
engine = "{engine}"
base = "{base}"
adapter = "./old"
generation = {{ max_new_tokens = 33 }}
"""


@dataclass
class Lab:
    """A finished run, the data it was judged by, and a lineup with an adapter on the same base."""

    home: Path
    recipe: Recipe
    run: RunFolder

    @property
    def lineup(self) -> Path:
        return self.home / "lab.toml"

    def write_lineup(self, engine: str) -> str:
        text = LINEUP.format(engine=engine, base=self.recipe.base)
        self.lineup.write_text(text, "utf-8")
        return text

    def register(self, *options: str) -> Result:
        return CliRunner().invoke(load("register"), ["fresh", "--lineup", str(self.lineup), *options])

    @property
    def candidate(self) -> Candidate:
        return load_lineup(self.lineup).candidates[-1]

    @property
    def report(self) -> Any:
        return read_report(self.candidate, self.home / "models")


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("register")
    make_llama(folder / "base")
    make_adapter(folder / "base", folder / "trained", seed=4)
    return folder / "base"


@pytest.fixture
def lab(base: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Lab:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("RUNS_DIR", str(tmp_path / "runs"))
    monkeypatch.setenv("MODEL_CACHE_DIR", str(tmp_path / "models"))
    data = write_prepared(tmp_path / "data", articles(), threads())
    recipe = recipe_of(base, data, name="fresh")
    run = finished_run(tmp_path / "runs", recipe, base.parent / "trained", load_prepared(data).fingerprint)
    return Lab(tmp_path, recipe, run)


def finished_run(runs: Path, recipe: Recipe, adapter: Path, fingerprint: str) -> RunFolder:
    run = run_folder(runs, "fresh")
    run.path.mkdir(parents=True)
    run.adapter.symlink_to(adapter)
    (adapter / "README.md").write_text("A card.", "utf-8")
    run.recipe_file.write_text(dump_recipe(recipe), "utf-8")
    run.dataset_file.write_text(f'{{"fingerprint": "{fingerprint}"}}', "utf-8")
    told = {"name": "fresh", "kind": recipe.kind, "base": recipe.base, "method": "lora", "total_steps": 1}
    run.write_state(RunState(**told, status="finished", started_at=utc_now(), updated_at=utc_now()))
    return run


def test_beside_fast_candidates_it_is_exported_and_proved_on_the_runs_own_heldout_split(lab: Lab, base: Path) -> None:
    lab.write_lineup("fast")
    result = lab.register()
    assert result.exit_code == 0, result.output
    assert (lab.candidate.engine, lab.candidate.key) == ("fast", "fresh")
    assert lab.candidate.generation.max_new_tokens == 33
    tokenizer = AutoTokenizer.from_pretrained(base)
    rows = heldout_rows(tokenizer, load_prepared(lab.recipe.data.path), lab.recipe.data).rows
    assert lab.report.texts == "the run's held-out split"
    assert lab.report.target_tokens == sum(row.targets for row in rows) > 100
    trained = PeftModel.from_pretrained(AutoModelForCausalLM.from_pretrained(base), lab.run.adapter).eval()
    assert lab.report.reference_loss == pytest.approx(heldout_loss(trained, rows, 0, rows_at_once=2), rel=1e-4)
    assert f"{lab.report.difference:+.2%} against transformers" in result.output
    assert "replybench lineup reload" in result.output
    assert "lineup use lab" in result.output


def test_an_export_that_is_refused_leaves_the_lineup_as_it_was(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    before = lab.write_lineup("fast")
    monkeypatch.setattr(export, "TOLERANCE", 1e-9)
    result = lab.register()
    assert isinstance(result.exception, export.ExportRefused)
    assert "differ by more than" in result.exception.message
    assert lab.lineup.read_text("utf-8") == before
    assert not list(lab.home.glob(".lab*"))
    assert not list((lab.home / "models" / "fast").iterdir())


def test_without_the_library_it_says_what_to_do(lab: Lab, monkeypatch: pytest.MonkeyPatch) -> None:
    before = lab.write_lineup("fast")
    monkeypatch.setattr("importlib.util.find_spec", lambda _: None)
    result = lab.register()
    assert isinstance(result.exception, ConfigError)
    assert "--engine transformers" in result.exception.message
    assert lab.lineup.read_text("utf-8") == before


@pytest.mark.parametrize(("sibling", "asked"), [("transformers", []), ("fast", ["--engine", "transformers"])])
def test_for_the_transformers_engine_nothing_is_exported(lab: Lab, sibling: str, asked: list[str]) -> None:
    lab.write_lineup(sibling)
    assert lab.register(*asked).exit_code == 0
    assert lab.candidate.engine == "transformers"
    assert not (lab.home / "models").exists()


def test_an_adapter_that_was_trained_on_few_bits_stays_on_them_unless_asked(lab: Lab) -> None:
    lab.write_lineup("fast")
    lab.run.recipe_file.write_text(dump_recipe(lab.recipe.model_copy(update={"method": "qlora"})), "utf-8")
    assert lab.register().exit_code == 0
    assert (lab.candidate.engine, lab.candidate.quantisation) == ("transformers", "nf4")
    assert lab.register("--key", "merged", "--engine", "fast").exit_code == 0
    assert (lab.candidate.engine, lab.candidate.quantisation) == ("fast", "none")
    assert "in 4 bits; served on the base itself" in lab.candidate.note


def test_data_that_is_another_by_now_is_not_called_the_runs_own(lab: Lab) -> None:
    lab.write_lineup("transformers")
    write_prepared(lab.recipe.data.path, articles(), threads(30))
    assert heldout_texts(lab.run, lab.recipe, TrainingSettings(), print) is None
    result = lab.register("--engine", "fast")
    assert "is not what the run was judged by any more" in result.output
    assert "made-up company" in lab.report.texts


@pytest.mark.parametrize("kind", ["dpo", "kto"])
def test_a_run_on_preferences_is_judged_by_the_better_heldout_answers(lab: Lab, kind: Any, base: Path) -> None:
    common = {"subject": "", "turns": (Turn("customer", "Where?"),), "language": "en"}
    pairs, labels = [], []
    for split in ("train", "heldout"):
        known = {**common, "split": split, "provenance": Provenance(ticket="t")}
        chosen = {"chosen": f"Good {split}.", "rejected": "Bad.", "margin": 1.0, "agreement": 1.0, "raters": 2}
        pairs.append(Pair(id=f"p-{split}", kind="rating", **known, **chosen))
        for is_good in (True, False):
            words = f"{'Good' if is_good else 'Bad'} {split}."
            label = {"answer": words, "is_good": is_good, "positive_share": float(is_good)}
            labels.append(Label(id=f"l-{split}-{is_good}", kind="rating", **known, **label))
    report = write_preferences(lab.home / "preferences", Made(pairs, labels), Rules(), {})
    lab.run.dataset_file.write_text(f'{{"fingerprint": "{report["fingerprint"]}"}}', "utf-8")
    data = lab.recipe.data.model_copy(update={"path": lab.home / "preferences"})
    recipe = lab.recipe.model_copy(update={"kind": kind, "data": data})
    texts = heldout_texts(lab.run, recipe, TrainingSettings(), print)
    assert texts is not None
    tokenizer = AutoTokenizer.from_pretrained(base)
    told = [tokenizer.decode([label for label in labels if label >= 0]) for _, labels in texts]
    assert [str(text).removesuffix("<|end|>").strip() for text in told] == ["Good heldout."]
