"""What the compose file and the images promise, as far as it can be seen without Docker."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

from backend.settings import Settings
from console.settings import ConsoleSettings
from replybench import secrets
from replybench.lineups import load_lineup

ROOT = Path(__file__).parents[2]
COMPOSE = yaml.safe_load((ROOT / "docker-compose.yml").read_text("utf-8"))
DOCKERFILE = (ROOT / "Dockerfile").read_text("utf-8")


def test_every_image_of_others_is_pinned_and_nothing_runs_with_more_rights_than_it_needs() -> None:
    for name, service in COMPOSE["services"].items():
        assert re.search(r":v?\d+(\.\d+)+", service["image"]), name
        assert service["cap_drop"] == ["ALL"], name
        assert service["security_opt"] == ["no-new-privileges:true"], name
    assert re.findall(r"^FROM (?!base|models)(\S+)", DOCKERFILE, re.MULTILINE) == ["python:3.11.14-slim-bookworm"]


def test_each_of_our_images_runs_as_nobody_special_and_tells_its_health() -> None:
    stages = dict(re.findall(r"^FROM \S+ AS (\S+)\n(.*?)(?=^FROM |\Z)", DOCKERFILE, re.MULTILINE | re.DOTALL))
    for image in ("console", "backend", "backend-remote", "training"):
        assert re.findall(r"^USER (\S+)", stages[image], re.MULTILINE)[-1] == "10001", image
        assert "HEALTHCHECK" in stages[image] or image == "training", image
    for image in ("console", "backend-remote"):
        assert "torch" not in re.sub(r"#.*", "", stages[image]), image
        assert not re.search(r"\[.*\b(models|training|all)\b.*\]", stages[image]), image


def test_no_secret_stands_in_the_environment() -> None:
    for name, service in COMPOSE["services"].items():
        for key, value in service.get("environment", {}).items():
            assert not re.search(r"(KEY|TOKEN|SECRET|PASSWORD|DATABASE_URL)$", key), (name, key)
            assert "secrets/" not in str(value) or str(value).startswith("/run/secrets/"), (name, key)
    assert set(COMPOSE["secrets"]) >= {"api_key", "console_api_key", "database_url", "postgres_password"}


def test_only_the_proxy_is_reached_from_outside_and_at_first_only_from_this_machine() -> None:
    published = {name: service["ports"] for name, service in COMPOSE["services"].items() if "ports" in service}
    assert list(published) == ["proxy"]
    assert all("127.0.0.1:" in port for port in published["proxy"])


@pytest.mark.parametrize("profile", ["gpu", "cpu", "vllm"])
def test_each_profile_has_one_kind_of_backend_and_all_that_it_needs(profile: str) -> None:
    services = {n: s for n, s in COMPOSE["services"].items() if profile in s.get("profiles", [profile])}
    backends = [name for name in services if name.startswith("backend")]
    assert len(backends) == 1
    for name, service in services.items():
        assert set(service.get("depends_on", {})) <= set(services), name
    reached_as = [backends[0], *services[backends[0]].get("networks", {}).get("default", {}).get("aliases", [])]
    assert "backend" in reached_as
    assert {"postgres", "migrate", "console", "proxy"} <= set(services)


def test_the_lineups_that_the_profiles_name_can_be_read() -> None:
    named = {s["environment"]["LINEUP"] for s in COMPOSE["services"].values() if "LINEUP" in s.get("environment", {})}
    files = {re.sub(r"^\$\{LINEUP:-(.*)\}$", r"\1", name) for name in named}
    assert files == {"lineups/study.toml", "lineups/demo.toml", "lineups/vllm.toml"}
    for file in files:
        load_lineup(ROOT / file)


def test_secrets_are_made_once_random_and_read_from_their_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "deploy").mkdir()
    script = tmp_path / "deploy" / "make-secrets.sh"
    script.write_bytes((ROOT / "deploy" / "make-secrets.sh").read_bytes())
    subprocess.run(["sh", script], check=True, capture_output=True)
    folder = tmp_path / "secrets"
    first = {path.name: path.read_text() for path in folder.iterdir()}
    assert set(first) == {Path(secret["file"]).name for secret in COMPOSE["secrets"].values()}
    assert folder.stat().st_mode & 0o077 == 0
    assert len(first["api_key"]) == len(first["postgres_password"]) == 64
    assert first["postgres_password"] in first["database_url"]
    subprocess.run(["sh", script], check=True, capture_output=True)
    assert {path.name: path.read_text() for path in folder.iterdir()} == first

    monkeypatch.setattr(secrets, "_CONTAINERS_KEEP_THEM_IN", folder)
    for name in ("API_KEY", "DATABASE_URL", "OPENAI_API_KEY"):
        monkeypatch.delenv(name, raising=False)
    backend = Settings(_env_file=None, _secrets_dir=secrets.secrets_dir())
    assert backend.api_key.get_secret_value() == first["api_key"]
    assert backend.database_url == first["database_url"]
    assert "openai_api_key" not in backend.available(), "an empty secret is none"
    console = ConsoleSettings(_env_file=None, _secrets_dir=secrets.secrets_dir())
    assert console.api_key is not None


def test_the_entrypoint_hands_the_token_on_and_becomes_the_command() -> None:
    command = ["sh", str(ROOT / "deploy" / "entrypoint.sh"), sys.executable, "-c", "import os; print(os.getppid())"]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert int(done.stdout) == os.getpid(), "exec: signals reach the command itself"


def test_the_console_does_not_start_where_others_could_reach_it_without_signing_in() -> None:
    code = "from replybench.cli import main; main()"
    environment = {**os.environ, "OIDC_FILE": "", "TRUST_NETWORK": "false"}
    command = [sys.executable, "-c", code, "console", "--host", "0.0.0.0", "--port", "18999"]  # noqa: S104  # refused
    done = subprocess.run(command, check=False, capture_output=True, text=True, env=environment, timeout=60)
    assert done.returncode == 1
    assert "Without an identity provider" in done.stderr
