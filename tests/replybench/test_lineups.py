"""Lineups: what is accepted, what is refused and with which words."""

from pathlib import Path

import pytest

from replybench.errors import ConfigError
from replybench.lineups import load_lineup

ROOT = Path(__file__).parents[2]

MINIMAL = """
name = "x"
title = "X"
[[candidates]]
key = "a"
name = "A"
engine = "transformers"
base = "embedded"
"""


def written(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "x.toml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", sorted((ROOT / "lineups").glob("*.toml")), ids=lambda path: path.name)
def test_every_lineup_that_ships_is_valid(path: Path) -> None:
    lineup = load_lineup(path)
    assert lineup.resolved([]).candidates
    assert lineup.examples is None or lineup.examples.is_file()


def test_the_demo_shows_the_untuned_base_under_its_own_name_unless_there_is_a_key() -> None:
    demo = load_lineup(ROOT / "lineups" / "demo.toml")
    without, with_key = demo.resolved([]).candidates, demo.resolved(["openai_api_key"]).candidates
    assert len(without) == len(with_key) == 3
    assert "SmolLM2" in without[2].name
    assert "OpenAI" not in without[2].name
    assert with_key[2].engine == "openai"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("name = ", "not valid TOML"),
        (MINIMAL + "temprature = 1\n", r"candidates\.0\.temprature"),
        (MINIMAL.replace('base = "embedded"', ""), "needs 'base'"),
        (MINIMAL + MINIMAL.split('title = "X"')[1], "same 'key'"),
        (MINIMAL.replace('"transformers"', '"openai"'), "needs 'model'"),
    ],
)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        load_lineup(written(tmp_path, text))


def test_a_missing_file_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="There is no lineup"):
        load_lineup(tmp_path / "none.toml")


def test_paths_are_taken_from_the_files_own_folder(tmp_path: Path) -> None:
    lineup = load_lineup(written(tmp_path, MINIMAL + 'adapter = "./adapters/a"\n'))
    assert lineup.candidates[0].adapter == str(tmp_path / "adapters" / "a")
