"""`prepare` as a whole: the same bytes whatever happens, clear errors, nothing half done."""

import errno
import hashlib
import json
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

from replybench.errors import ConfigError, InvalidInput, Unavailable
from tests.training.prepare.conftest import DEMO
from training.dataset import THREADS_FILE, load_prepared
from training.helpdesk.mapping import load_mapping
from training.prepare import output
from training.prepare.explain import explain
from training.prepare.pipeline import Options, prepare, split_of

FAST = Options(names="patterns", workers=1)


def _tree(folder: Path) -> dict[str, str]:
    return {
        str(path.relative_to(folder)): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def _broken(raw: Path, line: str) -> None:
    tickets = raw / "tickets.jsonl"
    lines = tickets.read_text(encoding="utf-8").splitlines()
    tickets.write_text("\n".join([*lines[:4], line, *lines[4:]]) + "\n", encoding="utf-8")


def test_the_same_bytes_with_one_process_and_with_two(small_raw: Path, tmp_path: Path) -> None:
    prepare(small_raw, tmp_path / "one", FAST)
    prepare(small_raw, tmp_path / "two", Options(names="patterns", workers=2))
    first = _tree(tmp_path / "one")
    assert first == _tree(tmp_path / "two")
    assert {"report.json", "REPORT.md", "threads.jsonl", "threads.png"} <= set(first)


def test_parts_and_one_file_are_the_same(small_raw: Path, tmp_path: Path) -> None:
    prepare(small_raw, tmp_path / "whole", FAST)
    lines = (small_raw / "tickets.jsonl").read_bytes().splitlines(keepends=True)
    (small_raw / "tickets.jsonl").unlink()
    (small_raw / "tickets-1.jsonl").write_bytes(b"".join(lines[:10]))
    (small_raw / "tickets-2.jsonl").write_bytes(b"".join(lines[10:]))
    prepare(small_raw, tmp_path / "parts", FAST)
    assert _tree(tmp_path / "whole") == _tree(tmp_path / "parts")


@pytest.mark.parametrize(
    ("line", "says"),
    [
        ('{"id": "9", "subject": "Ana\'s card", "turns": [', r"line 5: this is not a JSON object"),
        ('["Ana"]', r"line 5: a JSON object was expected"),
        ('{"id": "9", "turns": [{"id": "1", "role": "Ana", "text": "x"}]}', r"line 5: 'turns.0.role' is wrong"),
        ('{"subject": "Ana"}', r"line 5: 'id' is wrong \(missing\)"),
    ],
)
def test_a_broken_line_is_named_and_nothing_of_it_told(small_raw: Path, tmp_path: Path, line: str, says: str) -> None:
    _broken(small_raw, line)
    with pytest.raises(InvalidInput, match=says) as caught:
        prepare(small_raw, tmp_path / "out", FAST)
    assert "tickets.jsonl" in caught.value.message
    assert "Ana" not in caught.value.message
    assert sorted(path.name for path in tmp_path.iterdir() if not path.name.endswith(".lock")) == ["raw"]


def test_an_export_that_was_cut_off_is_recognised(small_raw: Path, tmp_path: Path) -> None:
    content = (small_raw / "tickets.jsonl").read_bytes()
    (small_raw / "tickets.jsonl").write_bytes(content[:-40])
    with pytest.raises(InvalidInput, match=r"line 24: .*cut off"):
        prepare(small_raw, tmp_path / "out", FAST)


@pytest.mark.parametrize("missing", ["articles.jsonl", "tickets.jsonl"])
def test_a_missing_file_is_named(small_raw: Path, tmp_path: Path, missing: str) -> None:
    (small_raw / missing).unlink()
    with pytest.raises(ConfigError, match=missing):
        prepare(small_raw, tmp_path / "out", FAST)


def test_a_missing_folder_and_a_foreign_target(small_raw: Path, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="does not exist"):
        prepare(tmp_path / "nothing", tmp_path / "out", FAST)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "thesis.docx").write_text("years of work")
    with pytest.raises(ConfigError, match="did not write"):
        prepare(small_raw, tmp_path / "mine", FAST)
    assert (tmp_path / "mine" / "thesis.docx").read_text() == "years of work"


def _full(*_: Any, **__: Any) -> None:
    raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("where", ["write_articles", "write_dataset", "write_report"])
def test_a_full_disk_is_told_and_changes_nothing(
    small_raw: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    out = tmp_path / "out"
    prepare(small_raw, out, FAST)
    before = _tree(out)
    with monkeypatch.context() as patched:
        patched.setattr(output, where, _full)
        with pytest.raises(Unavailable, match=r"disk is full .* Nothing was changed"):
            prepare(small_raw, out, FAST)
    assert _tree(out) == before
    assert not (tmp_path / ".out.partial").exists()
    prepare(small_raw, out, FAST)
    assert _tree(out) == before


def _started(arguments: list[str], until: Callable[[], bool]) -> subprocess.Popen[bytes]:
    command = [sys.executable, "-c", "from replybench.cli import main; main()", "prepare", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    deadline = time.monotonic() + 120
    while not until() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.005)
    return process


def test_kill_minus_nine_leaves_the_old_output_and_the_next_run_ends_the_same(small_raw: Path, tmp_path: Path) -> None:
    out, partial = tmp_path / "out", tmp_path / ".out.partial"
    prepare(small_raw, out, FAST)
    before = _tree(out)
    arguments = ["--in", str(small_raw), "--out", str(out), "--names", "patterns", "--workers", "1"]
    process = _started(arguments, lambda: (partial / output.WORK_FILE).is_file())
    process.send_signal(signal.SIGKILL)
    process.wait()
    assert partial.is_dir(), "it was killed too late to tell anything"
    assert _tree(out) == before
    prepare(small_raw, out, FAST)
    assert _tree(out) == before
    assert not partial.exists()


def test_workers_do_not_outlive_a_killed_parent(small_raw: Path, tmp_path: Path) -> None:
    workers: list[psutil.Process] = []

    def found(process: psutil.Process) -> bool:
        workers[:] = [child for child in process.children() if "spawn_main" in " ".join(child.cmdline())]
        return len(workers) == 2

    arguments = ["--in", str(small_raw), "--out", str(tmp_path / "out"), "--names", "patterns", "--workers", "2"]
    parent = psutil.Process(_started(arguments, lambda: True).pid)
    while parent.is_running() and parent.status() != psutil.STATUS_ZOMBIE and not found(parent):
        time.sleep(0.01)
    parent.kill()
    parent.wait()
    assert len(workers) == 2
    assert psutil.wait_procs(workers, timeout=60)[1] == []


def test_killed_between_the_two_renames_the_old_output_comes_back(small_raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(small_raw, out, FAST)
    before = _tree(out)
    out.rename(tmp_path / ".out.old")
    _broken(small_raw, "{")
    with pytest.raises(InvalidInput):
        prepare(small_raw, out, FAST)
    assert _tree(out) == before


def test_two_runs_at_once_do_not_meet(small_raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    arguments = ["--in", str(small_raw), "--out", str(out), "--names", "patterns", "--workers", "1"]
    process = _started(arguments, lambda: (tmp_path / ".out.partial").is_dir())
    if process.poll() is None:
        with pytest.raises(Exception, match="Another `prepare`"):
            prepare(small_raw, out, FAST)
    assert process.wait() == 0
    load_prepared(out)


def test_a_changed_row_is_noticed_by_the_reader(small_raw: Path, tmp_path: Path) -> None:
    prepare(small_raw, tmp_path / "out", FAST)
    rows = tmp_path / "out" / THREADS_FILE
    rows.write_text(rows.read_text(encoding="utf-8").replace("password", "passport", 1), encoding="utf-8")
    with pytest.raises(ConfigError, match="was changed after it was prepared"):
        load_prepared(tmp_path / "out")


def test_the_split_does_not_change_when_tickets_come() -> None:
    sides = {str(name): split_of(str(name), 15) for name in range(4000)}
    assert sides == {name: split_of(name, 15) for name in reversed(list(sides))}
    assert 0.12 < sum(side == "heldout" for side in sides.values()) / 4000 < 0.18
    assert all(split_of(name, 15) == "heldout" for name, side in sides.items() if split_of(name, 10) == "heldout")


def test_a_mapping_brings_other_data_in(tmp_path: Path) -> None:
    raw = tmp_path / "raw"
    raw.mkdir()
    (raw / "articles.jsonl").write_text("")
    turns: list[dict[str, Any]] = [
        {
            "id": "q1",
            "role": "customer",
            "author": "user_0007",
            "html": "<p>The folder pane is empty after the update, why?</p>",
        },
        {
            "id": "a1",
            "role": "agent",
            "author": "user_0031",
            "html": "<p>Hello user_0007, press Alt and choose View.</p>",
        },
        {"id": "a2", "role": "agent", "author": "x", "html": "<p>Cheap watches</p>", "is_spam": True},
    ]
    row = {
        "id": 1551692,
        "subject": "Empty pane",
        "topic": "customisation",
        "solved": True,
        "is_spam": False,
        "turns": turns,
    }
    other = {
        **row,
        "id": 2,
        "solved": False,
        "turns": [{**turns[0], "html": "<p>Can I print two pages on a sheet of paper?</p>"}, turns[1]],
    }
    (raw / "tickets.jsonl").write_text(json.dumps(row) + "\n" + json.dumps(other) + "\n")
    mapping = load_mapping(Path(__file__).parents[3] / "training" / "mappings" / "thunderbird.toml")
    prepare(raw, tmp_path / "out", Options(names="patterns", workers=1, mapping=mapping))
    solved, unknown = load_prepared(tmp_path / "out").threads
    assert (solved.id, solved.category, solved.outcome, solved.outcome_rule) == (
        "1551692",
        "customisation",
        "success",
        "helpdesk:mark",
    )
    assert unknown.outcome == "unknown"
    assert [turn.text for turn in solved.turns][1] == "Hello {username}, press Alt and choose View."


def test_a_mapping_with_a_typing_error_is_told(tmp_path: Path) -> None:
    (tmp_path / "map.toml").write_text('[ticket]\ncategroy = "topic"\n')
    with pytest.raises(ConfigError, match="Did you mean 'category'"):
        load_mapping(tmp_path / "map.toml")


def test_explain_tells_the_steps_and_nothing_that_was_removed(small_raw: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    prepare(small_raw, out, FAST)
    told = explain("50001", small_raw, out, FAST)
    assert "signature" in told
    assert "kept, split" in told
    for secret in ("Sofia", "Lindqvist", "sofia.lindqvist@example.com"):
        assert secret not in told
    assert "dropped as near_duplicate of 50001" in explain("50002", small_raw, out, FAST)
    assert "DROPPED: internal" in explain("2008", small_raw, out, FAST)


def test_logs_and_files_of_figures_hold_no_personal_data(
    demo_out: Path, tickets_expected: dict[str, dict[str, Any]]
) -> None:
    told = (
        (demo_out / "REPORT.md").read_text()
        + (demo_out / "report.json").read_text()
        + (demo_out / "dropped.jsonl").read_text()
    )
    values = {
        item["value"]
        for row in tickets_expected.values()
        for item in row["pii"]
        if item["kind"] in {"email", "phone", "iban", "order_id"}
    }
    assert not [value for value in values if value in told]


def test_the_demo_is_there() -> None:
    assert DEMO.is_dir()
