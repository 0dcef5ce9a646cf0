"""The widget's own checks: types, and its unit tests in Node."""

import subprocess
from pathlib import Path

import pytest

from tests.widget.packing import WIDGET


@pytest.mark.parametrize("script", ["check", "test"])
def test_npm_run(node_modules: Path, script: str) -> None:
    done = subprocess.run(["npm", "run", "--silent", script], cwd=WIDGET, capture_output=True, text=True, timeout=240)
    assert done.returncode == 0, done.stdout + done.stderr
