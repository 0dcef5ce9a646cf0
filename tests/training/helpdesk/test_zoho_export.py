"""The export against a server that speaks Zoho Desk's rules."""

import asyncio
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from replybench.errors import ConfigError, Unavailable
from tests.training.helpdesk.zoho_server import Trouble, ZohoServer
from training.helpdesk.raw import read_articles, read_tickets
from training.helpdesk.records import Records
from training.helpdesk.settings import ZohoSettings
from training.helpdesk.zoho import OutOfCredits, Spending, ZohoDesk
from training.helpdesk.zoho_export import Choice, Outcome, export

DEMO = Path(__file__).parents[3] / "demo" / "helpdesk"


async def _no_wait(_: float) -> None:
    await asyncio.sleep(0)


def _settings(server: ZohoServer, **changes: Any) -> ZohoSettings:
    values = {
        "desk_url": server.url,
        "accounts_url": server.url,
        "client_id": server.client[0],
        "client_secret": SecretStr(server.client[1]),
        "refresh_token": SecretStr(server.refresh_token),
        "org_id": server.org_id,
    }
    return ZohoSettings(_env_file=None, **{**values, **changes})


def _export(
    server: ZohoServer, out: Path, choice: Choice | None = None, spending: Spending | None = None, **changes: Any
) -> Outcome:
    async def run() -> Outcome:
        desk = ZohoDesk(_settings(server, **changes), spending or Spending(reserve=0), sleep=_no_wait)
        async with desk:
            return await export(desk, out, choice or Choice())

    return asyncio.run(run())


def _bytes(out: Path) -> tuple[bytes, bytes]:
    return (out / "tickets.jsonl").read_bytes(), (out / "articles.jsonl").read_bytes()


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> tuple[bytes, bytes]:
    out = tmp_path_factory.mktemp("undisturbed")
    with ZohoServer(DEMO, limit=40) as server:
        _export(server, out)
    return _bytes(out)


def test_everything_public_arrives_whole(tmp_path: Path) -> None:
    with ZohoServer(DEMO, limit=70) as server:
        outcome = _export(server, tmp_path)
        tickets = {ticket.id: ticket for ticket in read_tickets(tmp_path)}
        articles = {article.id: article for article in read_articles(tmp_path)}
        assert server.busiest <= 4
    assert outcome.tickets == len(tickets) == len(server.tickets) == 70
    assert set(articles) == {row["id"] for row in server.articles if row["permission"] != "AGENTS"}
    for source in server.tickets:
        found = tickets[source["id"]]
        assert [turn.id for turn in found.turns] == [turn["id"] for turn in source["turns"]]
        for turn, original in zip(found.turns, source["turns"], strict=True):  # content that was cut is fetched whole
            assert (turn.html, turn.text) == (original.get("html"), original.get("text"))
            assert (turn.role, turn.author) == (original["role"], original["author"])
        assert (found.outcome, found.rating) == (source["outcome"], source["rating"])
        assert (found.contact.email if found.contact else None) == (source["contact"] or {}).get("email")
    article = next(row for row in server.articles if row["category"])
    found_article = articles[article["id"]]
    assert (found_article.category, found_article.url) == (article["category"], article["url"])
    assert found_article.updated_at == article["updated_at"]


def test_private_comments_drafts_and_internal_articles_stay_out_unless_asked_for(tmp_path: Path) -> None:
    with ZohoServer(DEMO, limit=5) as server:
        _export(server, tmp_path / "public")
        _export(server, tmp_path / "all", Choice(internal_articles=True, private_comments=True))
    public, everything = _bytes(tmp_path / "public"), _bytes(tmp_path / "all")
    assert b"PRIVATE NOTE" not in public[0]
    assert everything[0].count(b"PRIVATE NOTE") == 5
    assert b"-draft" not in everything[0]
    assert b'"AGENTS"' not in public[1]
    assert b'"AGENTS"' in everything[1]


def test_troubles_change_nothing(tmp_path: Path, undisturbed: tuple[bytes, bytes]) -> None:
    trouble = Trouble(
        server_error_at={3, 40, 41, 120},
        drop_connection_at={7, 90, 160},
        too_many_at={20, 21, 22, 130},
        credits_pause_at={60},
        requests_per_token=60,
    )
    with ZohoServer(DEMO, limit=40, trouble=trouble) as server:
        _export(server, tmp_path)
        assert server.counts["token"] > 3
    assert _bytes(tmp_path) == undisturbed


def test_a_second_run_fetches_only_what_changed(tmp_path: Path) -> None:
    with ZohoServer(DEMO, limit=30) as server:
        first = _export(server, tmp_path)
        server.tickets[3]["modified"] = "2031-05-05T00:00:00Z"
        server.tickets[3]["subject"] = "Now with another subject"
        gone = server.tickets.pop(10)
        second = _export(server, tmp_path)
    assert first.fetched == first.tickets + first.articles
    assert second.fetched == 1
    assert second.requests < first.requests / 10
    tickets = {ticket.id: ticket for ticket in read_tickets(tmp_path)}
    assert tickets[server.tickets[3]["id"]].subject == "Now with another subject"
    assert gone["id"] not in tickets


def test_it_stops_when_the_credits_end_and_goes_on_where_it_was(
    tmp_path: Path, undisturbed: tuple[bytes, bytes]
) -> None:
    with ZohoServer(DEMO, limit=40, trouble=Trouble(day_is_over_at=150)) as server:
        with pytest.raises(OutOfCredits, match=r"run the same\s+command again"):
            _export(server, tmp_path)
        saved = len(list((tmp_path / ".records" / "tickets").glob("*.json")))
        assert saved > 3
        assert not (tmp_path / "tickets.jsonl").exists()
        server.trouble.day_is_over_at = 10**9
        outcome = _export(server, tmp_path)
        assert outcome.unchanged >= saved
    assert _bytes(tmp_path) == undisturbed


def test_our_own_limits_of_spending_hold(tmp_path: Path) -> None:
    with ZohoServer(DEMO, limit=50) as server:
        with pytest.raises(OutOfCredits):
            _export(server, tmp_path, spending=Spending(most=25, reserve=0))
        assert server.counts["request"] <= 25
        server.trouble.credits = server.counts["request"] + 40
        with pytest.raises(OutOfCredits, match="other programs"):
            _export(server, tmp_path, spending=Spending(reserve=20))
        assert server.trouble.credits - server.counts["request"] >= 15  # a few were under way


def test_concurrency_is_bounded(tmp_path: Path) -> None:
    with ZohoServer(DEMO, limit=20) as server:
        _export(server, tmp_path, concurrency=2)
        assert server.busiest <= 2


def test_a_wrong_secret_is_told_without_telling_it(tmp_path: Path) -> None:
    with ZohoServer(DEMO, limit=1) as server, pytest.raises(ConfigError, match="invalid_code") as caught:
        _export(server, tmp_path, client_secret=SecretStr("wr0ng"))
    assert "wr0ng" not in caught.value.message


def test_missing_settings_are_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in list(os.environ):
        if name.startswith("ZOHO_"):
            monkeypatch.delenv(name)
    with pytest.raises(ConfigError, match=r"ZOHO_CLIENT_ID, ZOHO_CLIENT_SECRET, ZOHO_REFRESH_TOKEN, ZOHO_ORG_ID"):
        ZohoSettings(_env_file=None).check()


@pytest.mark.parametrize(
    ("centre", "host"), [("eu", "desk.zoho.eu"), ("au", "desk.zoho.com.au"), ("ca", "desk.zohocloud.ca")]
)
def test_data_centres(centre: str, host: str) -> None:
    assert ZohoSettings(_env_file=None, data_centre=centre).desk == f"https://{host}"


def test_kill_minus_nine_in_the_middle_leaves_whole_records(tmp_path: Path, undisturbed: tuple[bytes, bytes]) -> None:
    with ZohoServer(DEMO, limit=40) as server:
        command = [
            sys.executable,
            "-c",
            "from replybench.cli import main; main()",
            "export",
            "zoho-desk",
            "--out",
            str(tmp_path),
        ]
        environment = {**os.environ, **server.environment()}
        process = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
        while server.counts["request"] < 150 and process.poll() is None:
            pass_time(0.01)
        process.send_signal(signal.SIGKILL)
        process.wait()
        saved = list((tmp_path / ".records" / "tickets").glob("*.json"))
        assert saved, "it was killed before it had saved anything"
        assert all(json.loads(path.read_bytes())["row"]["id"] for path in saved)
        subprocess.run(command, env=environment, check=True, capture_output=True)
    assert _bytes(tmp_path) == undisturbed


def test_a_full_disk_is_told_and_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    records = Records(tmp_path)
    records.save("tickets", "1", "v", {"id": "1", "created_at": "2024"})
    records.assemble("tickets", ["1"])
    before = (tmp_path / "tickets.jsonl").read_bytes()

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(Unavailable, match="disk is full"):
        records.assemble("tickets", ["1"])
    assert (tmp_path / "tickets.jsonl").read_bytes() == before
    assert not list(tmp_path.glob("*.tmp"))


def pass_time(seconds: float) -> None:
    import time

    time.sleep(seconds)
