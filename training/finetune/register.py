"""From a run to a candidate that the backend can serve: a block in a lineup, beside those that are there."""

import os
import re
from itertools import pairwise
from pathlib import Path

from replybench.embedded_model import EMBEDDED
from replybench.errors import Conflict, NotFound
from replybench.lineups import Candidate, Lineup, load_lineup
from training.finetune.recipe import Recipe, load_recipe
from training.finetune.run_folder import RunFolder


def finished_result(folder: RunFolder) -> tuple[Recipe, Path]:
    """Return a finished run's recipe and where its adapter (or whole model) lies.

    Raises:
        NotFound: no such run.
        Conflict: it has not finished.
    """
    state = folder.state()
    if state.status != "finished":
        raise Conflict(f"The run '{folder.name}' is {state.shown_status}, so there is nothing to use yet.")
    recipe = load_recipe(folder.recipe_file)
    result = folder.path / "model" if recipe.method == "full" else folder.adapter
    if not (result / "README.md").is_file():
        raise NotFound(f"The run '{folder.name}' says that it has finished, but {result} is not whole. Resume it.")
    return recipe, result


def register(folder: RunFolder, lineup_file: Path, *, key: str | None = None, name: str | None = None) -> Candidate:
    """Add a run's result to a lineup, and return the candidate. Everything else in the file stays as it is.

    Generation settings are those of the lineup's first candidate on the same base, if there is one.

    Raises:
        Conflict: the key is taken, or the lineup is full.
        ConfigError: the lineup cannot be read.
    """
    recipe, result = finished_result(folder)
    lineup = load_lineup(lineup_file)
    key = key or folder.name
    if key in {candidate.key for candidate in lineup.candidates}:
        raise Conflict(f"{lineup_file} has a candidate '{key}' already. Give this one another --key.")
    block = candidate_block(folder.name, recipe, result, lineup, lineup_file, key=key, name=name)
    text = lineup_file.read_text("utf-8")
    return write_lineup(lineup_file, f"{text.rstrip()}\n\n{block}", key)


def candidate_block(
    run: str, recipe: Recipe, result: Path, lineup: Lineup, lineup_file: Path, *, key: str, name: str | None
) -> str:
    """Return the candidate as TOML; paths are relative to the lineup's file, so that both can move together."""
    near = os.path.relpath(result.resolve(), lineup_file.resolve().parent)
    near = near if near.startswith(".") else f"./{near}"
    base = "SmolLM2-135M-Instruct" if recipe.base == EMBEDDED else recipe.base
    lines = [
        "[[candidates]]",
        f"key = {_quoted(key)}",
        f"name = {_quoted(name or f'{base}, {run}')}",
        'engine = "transformers"',
        f"base = {_quoted(near if recipe.method == 'full' else recipe.base)}",
        *([f"revision = {_quoted(recipe.revision)}"] if recipe.revision and recipe.method != "full" else []),
        *([] if recipe.method == "full" else [f"adapter = {_quoted(near)}"]),
        *([f"quantisation = {_quoted(_quantisation(recipe))}"] if recipe.quantised else []),
        'prompt = "study"',
        f"max_prompt_tokens = {recipe.data.max_tokens}",
        f"note = {_quoted(f'Trained by the run {run}.')}",
    ]
    sibling = next((other for other in lineup.candidates if other.base == recipe.base and other.adapter), None)
    if sibling is not None:
        chosen = sibling.generation.model_dump(exclude_defaults=True, exclude_none=True)
        if chosen:
            lines.append("generation = { " + ", ".join(f"{k} = {v}" for k, v in chosen.items()) + " }")
    return "\n".join(lines) + "\n"


def write_lineup(file: Path, text: str, key: str) -> Candidate:
    """Put `text` in the lineup's place if it is a valid lineup, and return its candidate `key`."""
    part = file.with_name(f".{file.name}.part")
    part.write_text(text, "utf-8")
    try:
        lineup = load_lineup(part)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return next(candidate for candidate in lineup.candidates if candidate.key == key)


def blocks(text: str) -> list[str]:
    """Cut a lineup's text before each `[[candidates]]`, comments above it included; joined, they are the text again."""
    starts = [match.start() for match in re.finditer(r"(?m)^(?:#[^\n]*\n)*\[\[candidates\]\]", text)]
    edges = [0, *starts, len(text)]
    return [text[left:right] for left, right in pairwise(edges)]


def _quantisation(recipe: Recipe) -> str:
    return "nf4" if recipe.quantisation.bits == 4 else "int8"


def _quoted(text: str) -> str:
    escaped = text.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
