"""`replybench ask` prints the answers of a running backend, and says in one sentence what is wrong."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.backend.conftest import API_KEY, Backend, scripted


def ask(folder: Path, *arguments: str, stdin: str = "") -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", "from replybench.cli import main; main()", "ask", *arguments]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, input=stdin, timeout=60, check=False)


def test_it_prints_the_answers_blind(backend: Backend, tmp_path: Path) -> None:
    done = ask(tmp_path, "I forgot it", "--subject", "Password", "--url", backend.url, "--api-key", API_KEY)
    assert done.returncode == 0, done.stderr
    for text in ("Quick words for you.", "Steady words, one after another.", "Late words."):
        assert text in done.stdout
    assert sorted(line for line in done.stdout.splitlines() if len(line) == 1) == ["A", "B", "C"]
    assert "Model" not in done.stdout and "\x1b" not in done.stdout


def test_it_reads_standard_input(backend: Backend, tmp_path: Path) -> None:
    done = ask(tmp_path, "-", "--url", backend.url, "--api-key", API_KEY, "--name", "Stdin", stdin="From a pipe")
    assert done.returncode == 0, done.stderr
    with backend.client("Stdin") as client:
        assert client.get("/api/suggestions").json()["suggestions"][0]["opening"] == "From a pipe"


def test_nothing_runs_here(tmp_path: Path) -> None:
    done = ask(tmp_path, "Hello")
    assert done.returncode == 1
    assert "No stack runs" in done.stderr and "Traceback" not in done.stderr


def test_nothing_answers_at_the_address(tmp_path: Path) -> None:
    done = ask(tmp_path, "Hello", "--url", "http://127.0.0.1:9", "--api-key", "x")
    assert done.returncode == 1
    assert "Nothing answers at http://127.0.0.1:9" in done.stderr and "Traceback" not in done.stderr


def test_a_wrong_key_and_failing_candidates_are_told(serve: Callable[..., Any], tmp_path: Path) -> None:
    with serve(scripted(broken='text = "x"\nfail_after = 0\nerror = "It broke."')) as backend:
        refused = ask(tmp_path, "Hello", "--url", backend.url, "--api-key", "wrong")
        assert refused.returncode == 1 and "API key" in refused.stderr
        failed = ask(tmp_path, "Hello", "--url", backend.url, "--api-key", API_KEY)
        assert failed.returncode == 1
        assert "[failed] It broke." in failed.stdout


@pytest.mark.parametrize("url", ["http://127.0.0.1:9"])
def test_without_a_key_it_says_so(tmp_path: Path, url: str) -> None:
    done = ask(tmp_path, "Hello", "--url", url)
    assert done.returncode == 1 and "--api-key" in done.stderr
    assert httpx.URL(url).port == 9
