"""A server that others wrote as the remote engine: `transformers serve`, streaming into a column, and killed in it."""

import json
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.backend.conftest import make_settings, serving, wait_until
from tests.backend.tiny_models import make_llama


@pytest.fixture(scope="module")
def base(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = make_llama(tmp_path_factory.mktemp("peer") / "model")
    config = json.loads((folder / "generation_config.json").read_text("utf-8"))
    (folder / "generation_config.json").write_text(json.dumps({**config, "eos_token_id": None}), "utf-8")
    return folder


@pytest.fixture
def peer(base: Path) -> Iterator[tuple[str, subprocess.Popen[bytes]]]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(Path(sys.executable).with_name("transformers")), "serve", "--host", "127.0.0.1"]
    command += ["--port", str(port), "--device", "cpu", "--dtype", "float32", str(base)]
    environment = {**os.environ, "HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1"}
    with subprocess.Popen(command, env=environment, start_new_session=True) as process:
        try:
            _wait_until_it_listens(port, process)
            yield f"http://127.0.0.1:{port}/v1", process
        finally:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)


def _wait_until_it_listens(port: int, process: "subprocess.Popen[bytes]") -> None:
    until = time.monotonic() + 200
    while time.monotonic() < until:
        assert process.poll() is None, "transformers serve has ended"
        try:
            if httpx.get(f"http://127.0.0.1:{port}/health", timeout=5).status_code == 200:
                return
        except httpx.HTTPError:
            time.sleep(0.3)
    raise AssertionError("transformers serve did not begin to listen")


def lineup(url: str, base: Path, tokens: int) -> str:
    return f"""
name = "peer"
title = "Peer"
[[candidates]]
key = "remote"
name = "Remote"
engine = "openai"
model = "{base}"
base_url = "{url}"
prompt = "chat"
generation = {{ max_new_tokens = {tokens} }}
[[candidates]]
key = "beside"
name = "Beside"
engine = "scripted"
script = '''
text = "I am not concerned."
'''
"""


def test_it_streams_into_a_column_and_its_death_is_that_columns_failure_alone(
    peer: tuple[str, "subprocess.Popen[bytes]"], base: Path, database_url: str, tmp_path: Path
) -> None:
    url, process = peer
    settings = make_settings(database_url, tmp_path, lineup(url, base, tokens=400))
    with serving(settings) as backend, backend.client() as client:

        def answers(id_: str) -> dict[str, dict[str, Any]]:
            found = client.get(f"/api/suggestions/{id_}").json()["answers"]
            return {"beside" if answer["text"].startswith("I am") else "remote": answer for answer in found}

        body = {"model": "remote", "max_tokens": 12, "messages": [{"role": "user", "content": "Hello"}]}
        done = client.post("/v1/chat/completions", json=body, timeout=100).json()
        assert done["choices"][0]["message"]["content"]

        id_ = client.post("/api/suggestions", json={"text": "Where is my money?"}).json()["id"]
        wait_until(lambda: (answers(id_).get("remote") or {}).get("text"), 100)
        os.killpg(process.pid, signal.SIGKILL)
        wait_until(lambda: client.get(f"/api/suggestions/{id_}").json()["is_complete"], 30)
        ended = answers(id_)
        assert ended["beside"]["status"] == "done"
        assert ended["beside"]["text"] == "I am not concerned."
        assert ended["remote"]["status"] == "failed"
        assert ended["remote"]["text"], "what it had written stays"
        assert ended["remote"]["error"]["message"]
