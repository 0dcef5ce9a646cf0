"""An adapter and its card go to a Hub: the real client against a small Hub that keeps what it is sent."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from replybench.errors import Conflict, ReplybenchError
from tests.training.finetune.conftest import recipe_of
from training.finetune.push import push
from training.finetune.recipe import dump_recipe
from training.finetune.run_folder import RunFolder, RunState, run_folder, utc_now
from training.settings import TrainingSettings

TOKEN = "hf_for_the_tests_only"


class Hub(ThreadingHTTPServer):
    """Speaks what `create_repo` and `upload_folder` ask: create, pre-upload, large-file storage, commit."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.blobs: dict[str, bytes] = {}
        self.repositories: list[dict[str, Any]] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def log_message(self, *_: object) -> None:
        pass

    def _answer(self, status: int, document: Any = None) -> None:
        body = json.dumps(document if document is not None else {}).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _body(self) -> bytes:
        if self.headers.get("Transfer-Encoding") == "chunked":
            body = b""
            while size := int(self.rfile.readline(), 16):
                body += self.rfile.read(size)
                self.rfile.readline()
            self.rfile.readline()
            return body
        return self.rfile.read(int(self.headers.get("Content-Length", 0)))

    def do_PUT(self) -> None:
        self.server.blobs[self.path.rsplit("/", 1)[1]] = self._body()
        self._answer(200)

    def do_GET(self) -> None:
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer(401, {"error": "Invalid credentials"})
        else:
            self._answer(200, {"id": "team/adapter", "sha": "0" * 40, "siblings": [], "xetEnabled": False})

    def do_POST(self) -> None:
        body = self._body()
        if self.headers.get("Authorization") != f"Bearer {TOKEN}":
            self._answer(401, {"error": "Invalid credentials"})
        elif self.path == "/api/repos/create":
            self.server.repositories.append(json.loads(body))
            self._answer(200, {"url": f"{self.server.url}/team/adapter"})
        elif self.path == "/api/validate-yaml":
            self._answer(200, {"errors": [], "warnings": []})
        elif self.path.endswith("/preupload/main"):
            names = [file["path"] for file in json.loads(body)["files"]]
            modes = [
                {
                    "path": name,
                    "uploadMode": "lfs" if name.endswith(".safetensors") else "regular",
                    "shouldIgnore": False,
                }
                for name in names
            ]
            self._answer(200, {"files": modes})
        elif self.path.endswith("/info/lfs/objects/batch"):
            wanted = json.loads(body)["objects"]
            objects = [{**o, "actions": {"upload": {"href": f"{self.server.url}/blob/{o['oid']}"}}} for o in wanted]
            self._answer(200, {"transfer": "basic", "objects": objects})
        elif "/commit/" in self.path:
            self._commit(body)
        else:
            self._answer(404, {"error": f"no such path {self.path}"})

    def _commit(self, body: bytes) -> None:
        for line in body.splitlines():
            entry = json.loads(line)
            value = entry["value"]
            if entry["key"] == "file":
                self.server.files[value["path"]] = base64.b64decode(value["content"])
            elif entry["key"] == "lfsFile":
                self.server.files[value["path"]] = self.server.blobs[value["oid"]]
        self._answer(200, {"commitUrl": f"{self.server.url}/team/adapter/commit/1", "commitOid": "1" * 40})


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    # The Hub's own chunk store speaks a protocol of its own; any Hub also takes large files the older way.
    monkeypatch.setattr("huggingface_hub.constants.HF_HUB_DISABLE_XET", True)
    server = Hub()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


@pytest.fixture
def folder(tmp_path: Path) -> RunFolder:
    """A run that says that it has finished, with its result."""
    made = run_folder(tmp_path / "runs", "told")
    made.write(made.recipe_file, dump_recipe(recipe_of("embedded", Path("data/demo"))))
    made.adapter.mkdir(parents=True)
    (made.adapter / "README.md").write_text("---\nlibrary_name: peft\n---\n# A card\n", "utf-8")
    (made.adapter / "adapter_config.json").write_text("{}", "utf-8")
    (made.adapter / "adapter_model.safetensors").write_bytes(bytes(range(256)) * 64)
    common = {"name": "told", "kind": "sft", "base": "embedded", "method": "lora", "total_steps": 5}
    state = {**common, "status": "finished", "started_at": utc_now(), "updated_at": utc_now()}
    made.write_state(RunState.model_validate(state))
    return made


def settings_for(hub: Hub, token: str = TOKEN) -> TrainingSettings:
    return TrainingSettings(_env_file=None, hf_endpoint=hub.url, hf_token=SecretStr(token))


def test_everything_of_the_result_is_there_byte_for_byte(hub: Hub, folder: RunFolder) -> None:
    address = push(folder, "team/adapter", settings_for(hub))
    assert address.endswith("/commit/1")
    assert hub.files == {file.name: file.read_bytes() for file in folder.adapter.iterdir()}
    assert hub.repositories[0]["name"] == "adapter"
    assert hub.repositories[0]["visibility" if "visibility" in hub.repositories[0] else "private"] in {True, "private"}


def test_a_refused_token_is_told(hub: Hub, folder: RunFolder) -> None:
    with pytest.raises(ReplybenchError) as caught:
        push(folder, "team/adapter", settings_for(hub, "hf_wrong"))
    assert "HF_TOKEN" in caught.value.message
    assert "hf_wrong" not in caught.value.message
    assert not hub.files


def test_an_unfinished_run_is_not_pushed(hub: Hub, folder: RunFolder) -> None:
    folder.write_state(folder.state().model_copy(update={"status": "failed"}))
    with pytest.raises(Conflict, match="nothing to use yet"):
        push(folder, "team/adapter", settings_for(hub))
