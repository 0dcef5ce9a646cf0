"""A recipe says everything, and refuses what it does not know."""

from pathlib import Path

import pytest

from replybench.errors import ConfigError
from training.finetune.recipe import Recipe, dump_recipe, load_recipe, parse_recipe

SHIPPED = sorted(Path("training/recipes").glob("*.yaml"))
MINIMAL = {"name": "x", "base": "embedded", "data": {"path": "data/clean"}}


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_shipped_recipe_can_be_read_and_is_named_as_its_file(path: Path) -> None:
    recipe = load_recipe(path)
    assert recipe.name == path.stem
    assert recipe.description


@pytest.mark.parametrize("path", SHIPPED, ids=lambda path: path.stem)
def test_a_resolved_recipe_reads_as_itself(path: Path, tmp_path: Path) -> None:
    recipe = load_recipe(path)
    saved = tmp_path / "recipe.yaml"
    saved.write_text(dump_recipe(recipe), "utf-8")
    assert load_recipe(saved) == recipe


@pytest.mark.parametrize(
    ("name", "base", "steps"),
    [
        ("llama-2-7b-qlora", "meta-llama/Llama-2-7b-hf", 800),
        ("gpt-j-6b-qlora", "EleutherAI/gpt-j-6b", 950),
    ],
)
def test_the_studys_recipes_carry_the_studys_figures(name: str, base: str, steps: int) -> None:
    recipe = load_recipe(Path(f"training/recipes/{name}.yaml"))
    assert (recipe.base, recipe.length.max_steps) == (base, steps)
    assert recipe.method == "qlora"
    assert (recipe.lora.rank, recipe.lora.alpha) == (16, 8)
    assert (recipe.quantisation.bits, recipe.quantisation.type, recipe.quantisation.double_quant) == (4, "nf4", True)
    assert recipe.optimizer.name.startswith("paged_adamw")
    assert recipe.evaluation.early_stop is not None


def test_the_studys_recipes_differ_by_base_and_steps_alone() -> None:
    one, other = (
        load_recipe(Path(f"training/recipes/{name}.yaml")).model_dump(exclude={"name", "description", "base"})
        for name in ("llama-2-7b-qlora", "gpt-j-6b-qlora")
    )
    assert one.pop("length")["max_steps"] == 800
    assert other.pop("length")["max_steps"] == 950
    one["data"].pop("use"), other["data"].pop("use")
    assert one == other


def test_the_demos_recipes_differ_by_their_data_alone() -> None:
    one, other = (
        load_recipe(Path(f"training/recipes/demo-{name}.yaml")).model_dump(exclude={"name", "description"})
        for name in ("articles-and-threads", "threads")
    )
    assert one["data"].pop("use") == ("articles", "threads")
    assert other["data"].pop("use") == ("threads",)
    assert one == other


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"lora": {"rnak": 8}}, "there is no key 'lora.rnak'. Did you mean 'rank'?"),
        ({"epochs": 3}, "there is no key 'epochs'. Did you mean 'length.epochs'?"),
        ({"metod": "lora"}, "Did you mean 'method'?"),
        ({"evaluation": {"early_stop": {"patiens": 1}}}, "Did you mean 'patience'?"),
        ({"zzz": 1}, "Valid are: name, description, kind, base"),
        ({"method": "dora"}, "method: Input should be 'full', 'lora' or 'qlora'"),
        ({"batch": {"rows": 6, "rows_at_once": 4}}, "rows (6) must be a multiple of rows_at_once (4)"),
        ({"kind": "dpo", "method": "full"}, "dpo and kto train an adapter"),
        ({"lora": {"dropout": 1.0}}, "lora.dropout"),
    ],
)
def test_what_is_wrong_is_told_with_what_would_be_right(change: dict[str, object], told: str) -> None:
    with pytest.raises(ConfigError) as caught:
        parse_recipe({**MINIMAL, **change}, "my.yaml")
    assert caught.value.message.startswith("my.yaml: ")
    assert told in caught.value.message


@pytest.mark.parametrize(
    ("text", "told"), [("a: [", "not valid YAML"), ("- a", "must be a mapping"), ("", "must be a")]
)
def test_what_is_no_recipe_is_told(tmp_path: Path, text: str, told: str) -> None:
    path = tmp_path / "r.yaml"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=told):
        load_recipe(path)


def test_a_missing_recipe_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="There is no recipe"):
        load_recipe(tmp_path / "none.yaml")


def test_everything_that_the_study_discusses_can_be_set() -> None:
    recipe = Recipe.model_validate(
        {
            **MINIMAL,
            "method": "qlora",
            "quantisation": {"bits": 8},
            "lora": {"rank": 8, "alpha": 4, "dropout": 0.1, "target_modules": ["q_proj"]},
            "optimizer": {"name": "adafactor", "learning_rate": 1e-4, "schedule": "linear", "weight_decay": 0.1},
            "batch": {"rows": 32, "rows_at_once": 8},
            "length": {"epochs": 5},
        }
    )
    assert recipe.quantised
