"""The demo's export, prepared once for all tests of this folder."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from training.dataset import Prepared, load_prepared
from training.prepare.pipeline import Options, prepare

DEMO = Path(__file__).parents[3] / "demo" / "helpdesk"


def manifest(*names: str) -> dict[str, dict[str, Any]]:
    """The expectations by id; of an id that is there twice the row that is kept."""
    found: dict[str, dict[str, Any]] = {}
    for name in names:
        for line in (DEMO / name).read_text(encoding="utf-8").splitlines():
            row = json.loads(line)
            if row["id"] not in found or row["expect"] == "keep":
                found[row["id"]] = row
    return found


@pytest.fixture(scope="session")
def tickets_expected() -> dict[str, dict[str, Any]]:
    return manifest("tickets-1-manifest.jsonl", "tickets-2-manifest.jsonl", "tickets-3-manifest.jsonl")


@pytest.fixture(scope="session")
def articles_expected() -> dict[str, dict[str, Any]]:
    return manifest("articles-manifest.jsonl")


@pytest.fixture(scope="session")
def demo_out(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("prepared") / "clean"
    prepare(DEMO, out, Options(names="model", workers=2))
    return out


@pytest.fixture(scope="session")
def prepared(demo_out: Path) -> Prepared:
    return load_prepared(demo_out)


@pytest.fixture
def small_raw(tmp_path: Path) -> Iterator[Path]:
    """A raw folder of a few tickets of the demo, which prepares in a second."""
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "articles.jsonl").write_bytes((DEMO / "articles.jsonl").read_bytes())
    lines = (DEMO / "tickets-1.jsonl").read_bytes().splitlines(keepends=True)
    (raw / "tickets.jsonl").write_bytes(b"".join(lines[:24]))
    yield raw
