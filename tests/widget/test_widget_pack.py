"""What is uploaded to Zoho: the two zips."""

import json
import re
import zipfile
from pathlib import Path

import pytest

from tests.widget.packing import WIDGET, pack
from tests.widget.zoho import BACKEND

PAGE = {"app/widget.html", "app/widget.js", "app/style.css"}
CONTENTS = {
    "crm": PAGE,
    "desk": PAGE
    | {"plugin-manifest.json", "resources.json", "app/translations/en.json", "app/img/icon.png", "app/img/logo.png"},
}


@pytest.fixture(params=sorted(CONTENTS))
def host(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def archive(packed: Path, host: str) -> zipfile.ZipFile:
    return zipfile.ZipFile(packed / f"replybench-{host}.zip")


def test_a_zip_holds_what_it_must_and_nothing_else(archive: zipfile.ZipFile, host: str) -> None:
    assert set(archive.namelist()) == CONTENTS[host]
    assert archive.testzip() is None
    assert all(info.file_size for info in archive.infolist())


def test_it_is_far_within_zohos_limits(archive: zipfile.ZipFile) -> None:
    assert len(archive.infolist()) <= 250
    assert max(info.file_size for info in archive.infolist()) < 100_000


def test_the_page_loads_only_its_own_files_and_zohos_sdk(archive: zipfile.ZipFile, host: str) -> None:
    html = archive.read("app/widget.html").decode()
    loaded = re.findall(r'(?:src|href)="([^"]+)"', html)
    own = {f"app/{path.removeprefix('./')}" for path in loaded if path.startswith("./")}
    sdk = {"crm": "https://live.zwidgets.com/js-sdk/", "desk": "https://js.zohostatic.com/"}[host]
    assert own <= set(archive.namelist())
    assert [path for path in loaded if not path.startswith(("./", sdk))] == []
    assert re.search(r"<script(?! src=)", html) is None, "an inline script would be refused by the page's own policy"


def test_the_backend_is_written_in_and_no_key(archive: zipfile.ZipFile) -> None:
    script = archive.read("app/widget.js").decode()
    assert BACKEND in script
    assert "Bearer" not in script


def test_desks_manifest_lists_the_domains_and_a_place_that_desk_has(packed: Path) -> None:
    manifest = json.loads(zipfile.ZipFile(packed / "replybench-desk.zip").read("plugin-manifest.json"))
    assert manifest["whiteListedDomains"] == [BACKEND, "https://desk.zoho.com"]
    assert [widget["location"] for widget in manifest["modules"]["widgets"]] == ["desk.ticket.detail.rightpanel"]
    assert manifest["cspDomains"]["connect-src"] == []


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("REPLYBENCH_URL", "http://replybench.example.com", "must begin with https://"),
        ("REPLYBENCH_URL", "replybench", "is not an address"),
        ("REPLYBENCH_CONNECTION", "a b", "may hold letters, digits"),
    ],
)
def test_a_wrong_setting_is_refused(
    node_modules: Path, tmp_path: Path, setting: str, value: str, sentence: str
) -> None:
    done = pack(tmp_path, **{setting: value})
    assert done.returncode == 1
    assert sentence in done.stderr
    assert not (tmp_path / "dist").exists()


@pytest.mark.usefixtures("node_modules")
def test_the_connectors_that_zoho_shows_go_into_the_manifest(tmp_path: Path) -> None:
    own = {"connectionLinkName": "replybench", "connectionName": "Replybench", "serviceName": "replybench"}
    desks = {"connectionLinkName": "replybench_desk", "connectionName": "Desk", "serviceName": "zlabs_integration"}
    (tmp_path / "connectors.json").write_text(json.dumps([own, desks]))
    file = str(tmp_path / "connectors.json")
    done = pack(tmp_path, REPLYBENCH_URL=BACKEND, ZOHO_DOMAIN="zoho.eu", REPLYBENCH_DESK_CONNECTORS=file)
    assert done.returncode == 0, done.stderr
    manifest = json.loads(zipfile.ZipFile(tmp_path / "dist" / "replybench-desk.zip").read("plugin-manifest.json"))
    assert manifest["connectors"] == [own]
    assert manifest["zohoAuthorisation"] == {"type": "connectors", **desks}
    assert manifest["whiteListedDomains"] == [BACKEND, "https://desk.zoho.eu"]


def test_the_lock_file_names_no_download_address() -> None:
    lock = (WIDGET / "package-lock.json").read_text("utf-8")
    assert '"resolved"' not in lock
    assert '"integrity"' in lock
