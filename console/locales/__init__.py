"""The catalogues, and what they must hold. `python -m console.locales` brings them up to date with the code."""

import ast
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path

from babel.messages.catalog import Catalog
from babel.messages.pofile import read_po, write_po

#: Function → how many of its first arguments are sentences to translate.
_MARKERS = {"_": 1, "ngettext": 2}
_CONSOLE = Path(str(files("console")))


def path(language: str) -> Path:
    """Return where the catalogue of `language` is."""
    return _CONSOLE / "locales" / language / "LC_MESSAGES" / "console.po"


def marked(source: str) -> Iterator[str | tuple[str, ...]]:
    """Yield every sentence that a module marks for translation, those inside f-strings too (Babel misses them).

    Raises:
        ValueError: a marked sentence is put together while the program runs, so no catalogue can hold it.
    """
    for node in ast.walk(ast.parse(source)):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _MARKERS):
            continue
        forms = [part.value for part in node.args[: _MARKERS[node.func.id]] if isinstance(part, ast.Constant)]
        texts = [form for form in forms if isinstance(form, str)]
        if len(texts) != _MARKERS[node.func.id]:
            raise ValueError(f"line {node.lineno}: write the whole sentence inside {node.func.id}(…)")
        yield texts[0] if len(texts) == 1 else tuple(texts)


def sentences() -> Catalog:
    """Return every sentence that the console's code marks for translation."""
    template = Catalog(project="Replybench", charset="utf-8", fuzzy=False)
    for module in sorted(_CONSOLE.rglob("*.py")):
        for message in marked(module.read_text("utf-8")):
            template.add(message)
    return template


def read(language: str) -> Catalog:
    """Return the catalogue of `language`."""
    with path(language).open("rb") as file:
        return read_po(file, locale=language)


def update(language: str) -> list[str]:
    """Add sentences that are new in the code, drop those that are gone; return those without a translation."""
    catalogue = read(language)
    created = catalogue.creation_date
    catalogue.update(sentences(), no_fuzzy_matching=True)
    catalogue.obsolete.clear()
    catalogue.creation_date = created
    catalogue.project, catalogue.version = "Replybench", ""
    catalogue.msgid_bugs_address = catalogue.last_translator = catalogue.language_team = ""
    with path(language).open("wb") as file:
        write_po(file, catalogue, no_location=True, sort_output=True, width=110)
    return [str(message.id) for message in catalogue if message.id and not message.string]
