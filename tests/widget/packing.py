"""Where the widget is, and how it is packed."""

import os
import subprocess
from pathlib import Path

WIDGET = Path(__file__).parents[2] / "widget"


def pack(out: Path, **settings: str) -> "subprocess.CompletedProcess[str]":
    """Pack the widget as an administrator would, into `out`/dist."""
    command = ["node", "scripts/pack.mjs", "--out", str(out)]
    environment = {**os.environ, **settings}
    return subprocess.run(command, cwd=WIDGET, env=environment, capture_output=True, text=True, timeout=120)
