"""SIGHUP makes a running `replybench serve` take its changed lineup, and no request that is under way is lost."""

import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import openai
import pytest

from tests.backend.conftest import API_KEY, scripted, wait_until

OLD = scripted(column='text = "The old lineup takes its time to say all that it has to say."\nchars_per_s = 40')
NEW = scripted(column='text = "The new one is quick."\nchars_per_s = 4000')
WORDS = {"The old lineup takes its time to say all that it has to say.", "The new one is quick."}


@pytest.fixture
def server(database_url: str, tmp_path: Path) -> Iterator[tuple[str, Path, "subprocess.Popen[bytes]"]]:
    lineup = tmp_path / "lineup.toml"
    lineup.write_text(OLD, "utf-8")
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-c", "from replybench.cli import main; main()", "serve", "--port", str(port)]
    command += ["--lineup", str(lineup), "--no-migrate"]
    environment = {**os.environ, "DATABASE_URL": database_url, "API_KEY": API_KEY, "REDACTION": "off"}
    with (tmp_path / "log").open("wb") as log, subprocess.Popen(command, env=environment, stderr=log) as process:
        url = f"http://127.0.0.1:{port}"
        try:
            wait_until(lambda: process.poll() is not None or is_ready(url), 90)
            assert process.poll() is None, (tmp_path / "log").read_text("utf-8")
            yield url, lineup, process
        finally:
            process.terminate()
            process.wait(20)


def is_ready(url: str) -> bool:
    try:
        return httpx.get(f"{url}/readyz").status_code == 200
    except httpx.HTTPError:
        return False


class Callers:
    """People and programs that ask again and again, each until told to stop."""

    def __init__(self, url: str) -> None:
        self.stop = threading.Event()
        self.suggestions: list[str] = []
        self.completions: list[str] = []
        self._url = url

    def person(self) -> None:
        headers = {"Authorization": f"Bearer {API_KEY}", "X-Rater": "Olena"}
        with httpx.Client(base_url=self._url, headers=headers) as client:
            while not self.stop.wait(0.05):
                response = client.post("/api/suggestions", json={"text": "Where is my money?"})
                assert response.status_code == 202, response.text
                self.suggestions.append(response.json()["id"])

    def program(self) -> None:
        with openai.OpenAI(base_url=f"{self._url}/v1", api_key=API_KEY, max_retries=0) as client:
            while not self.stop.is_set():
                stream = client.chat.completions.create(
                    model="column", messages=[{"role": "user", "content": "Hello"}], stream=True
                )
                self.completions.append("".join(chunk.choices[0].delta.content or "" for chunk in stream))


def test_a_hangup_changes_the_lineup_under_running_requests(
    server: tuple[str, Path, "subprocess.Popen[bytes]"],
) -> None:
    url, lineup, process = server
    callers = Callers(url)
    with ThreadPoolExecutor(6) as pool:
        running = [pool.submit(kind) for kind in (callers.person, callers.program) * 3]
        wait_until(lambda: len(callers.suggestions) > 5 and callers.completions, 30)
        lineup.write_text(NEW, "utf-8")
        os.kill(process.pid, signal.SIGHUP)
        wait_until(lambda: callers.completions.count("The new one is quick.") > 5, 30)
        callers.stop.set()
        for future in running:
            future.result(timeout=30)
    assert process.poll() is None
    assert set(callers.completions) == WORDS, "each answer is whole, of the one lineup or of the other"
    with httpx.Client(base_url=url, headers={"Authorization": f"Bearer {API_KEY}", "X-Rater": "Olena"}) as client:
        answers = [answer(client, id_) for id_ in callers.suggestions]
    assert {status for status, _ in answers} == {"done"}
    assert {text for _, text in answers} == WORDS


def answer(client: httpx.Client, id_: str) -> tuple[str, str]:
    wait_until(lambda: client.get(f"/api/suggestions/{id_}").json()["is_complete"], 30)
    [found] = client.get(f"/api/suggestions/{id_}").json()["answers"]
    return found["status"], found["text"]
