"""From a run to a candidate that the backend can serve: a block in a lineup, beside those that are there."""

import os
import re
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path
from typing import Literal

from replybench.embedded_model import EMBEDDED
from replybench.errors import Conflict, NotFound
from replybench.lineups import Candidate, Lineup, load_lineup
from training.finetune.recipe import Recipe, load_recipe
from training.finetune.run_folder import RunFolder

#: The engines that serve a run's result.
LocalEngine = Literal["transformers", "fast"]


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


def register(
    folder: RunFolder,
    lineup_file: Path,
    *,
    key: str | None = None,
    name: str | None = None,
    engine: LocalEngine | None = None,
    prove: Callable[[Candidate], None] = lambda _: None,
) -> Candidate:
    """Add a run's result to a lineup, and return the candidate. Everything else in the file stays as it is.

    Generation settings and the engine are those of the lineup's first adapter on the same base, if there is one.

    Args:
        engine: in the place of that one's.
        prove: called with the candidate before the lineup has it; if it raises, the lineup stays as it is.

    Raises:
        Conflict: the key is taken, or the lineup is full.
        ConfigError: the lineup cannot be read.
    """
    recipe, result = finished_result(folder)
    lineup = load_lineup(lineup_file)
    key = key or folder.name
    if key in {candidate.key for candidate in lineup.candidates}:
        raise Conflict(f"{lineup_file} has a candidate '{key}' already. Give this one another --key.")
    block = candidate_block(folder.name, recipe, result, lineup, lineup_file, key=key, name=name, engine=engine)
    text = lineup_file.read_text("utf-8")
    return write_lineup(lineup_file, f"{text.rstrip()}\n\n{block}", key, prove)


def candidate_block(
    run: str,
    recipe: Recipe,
    result: Path,
    lineup: Lineup,
    lineup_file: Path,
    *,
    key: str,
    name: str | None,
    engine: LocalEngine | None = None,
) -> str:
    """Return the candidate as TOML; paths are relative to the lineup's file, so that both can move together."""
    near = os.path.relpath(result.resolve(), lineup_file.resolve().parent)
    near = near if near.startswith(".") else f"./{near}"
    base = "SmolLM2-135M-Instruct" if recipe.base == EMBEDDED else recipe.base
    sibling = next((other for other in lineup.candidates if other.base == recipe.base and other.adapter), None)
    chosen = engine or _engine_beside(sibling, recipe)
    is_packed = recipe.quantised and chosen == "transformers"
    note = f"Trained by the run {run}."
    if recipe.quantised and not is_packed:
        note = f"Trained by the run {run} on its base in {recipe.quantisation.bits} bits; served on the base itself."
    lines = [
        "[[candidates]]",
        f"key = {_quoted(key)}",
        f"name = {_quoted(name or f'{base}, {run}')}",
        f"engine = {_quoted(chosen)}",
        f"base = {_quoted(near if recipe.method == 'full' else recipe.base)}",
        *([f"revision = {_quoted(recipe.revision)}"] if recipe.revision and recipe.method != "full" else []),
        *([] if recipe.method == "full" else [f"adapter = {_quoted(near)}"]),
        *([f"quantisation = {_quoted(_quantisation(recipe))}"] if is_packed else []),
        'prompt = "study"',
        f"max_prompt_tokens = {recipe.data.max_tokens}",
        f"note = {_quoted(note)}",
    ]
    if sibling is not None:
        settings = sibling.generation.model_dump(exclude_defaults=True, exclude_none=True)
        if settings:
            lines.append("generation = { " + ", ".join(f"{k} = {v}" for k, v in settings.items()) + " }")
    return "\n".join(lines) + "\n"


def _engine_beside(sibling: Candidate | None, recipe: Recipe) -> LocalEngine:
    """Return the engine of a candidate on the same base, so that the two columns differ in the adapter alone.

    An adapter that was trained on few bits is served on them, as it was judged, unless somebody asks for the other.
    """
    return "fast" if sibling is not None and sibling.engine == "fast" and not recipe.quantised else "transformers"


def write_lineup(file: Path, text: str, key: str, prove: Callable[[Candidate], None] = lambda _: None) -> Candidate:
    """Put `text` in the lineup's place if it is a valid lineup and `prove` agrees; return its candidate `key`."""
    part = file.with_name(f".{file.name}.part")
    part.write_text(text, "utf-8")
    try:
        candidate = next(found for found in load_lineup(part).candidates if found.key == key)
        prove(candidate)
        part.replace(file)
    finally:
        part.unlink(missing_ok=True)
    return candidate


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
