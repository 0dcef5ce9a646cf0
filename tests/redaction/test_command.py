"""`replybench redact`."""

import json
import subprocess
import sys
from pathlib import Path

COMMAND = [sys.executable, "-c", "from replybench.cli import main; main()", "redact", "--names", "patterns"]


def test_lines_in_lines_out_with_positions(tmp_path: Path) -> None:
    rows = [{"id": 1, "text": "Hi Olena, it's me"}, {"id": "b", "text": "nothing here"}]
    source = tmp_path / "in.jsonl"
    source.write_text("\n".join(json.dumps(row) for row in rows) + "\n")
    done = subprocess.run([*COMMAND, "--in", str(source)], capture_output=True, text=True, check=True)
    first, second = [json.loads(line) for line in done.stdout.splitlines()]
    assert first == {"id": 1, "text": "Hi {name}, it's me", "entities": [{"kind": "name", "start": 3, "end": 8}]}
    assert second == {"id": "b", "text": "nothing here", "entities": []}
    assert "name model" in done.stderr


def test_a_broken_line_is_named_and_not_shown() -> None:
    done = subprocess.run(
        COMMAND, input='{"id": 1, "text": "ok"}\n{"id": 2, "secret": "Ana"}\n', capture_output=True, text=True
    )
    assert done.returncode == 1
    assert "line 2" in done.stderr
    assert "Ana" not in done.stderr
