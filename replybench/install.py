"""Make the environment: `python3 -I replybench/install.py [--extras all,dev]`. Standard library only.

It is the first thing that runs on a fresh machine, so each thing that can be missing gets one sentence.
"""

import argparse
import hashlib
import re
import subprocess
import sys
import venv
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
LOWEST = (3, 11)
#: What pip printed → what to do. The first that matches is told.
HINTS = (
    (
        r"No matching distribution found for torch",
        "There is no PyTorch build for this Python and system. Use Python 3.11 to 3.13 on 64-bit Linux or macOS.",
    ),
    (
        r"NewConnectionError|Temporary failure in name resolution|Failed to establish|ConnectTimeout|ProxyError|"
        r"Read timed out|Max retries exceeded|No matching distribution found",
        "The package index cannot be reached. Check the network (or pip's proxy setting) and run the command again; "
        "what is already installed is kept.",
    ),
    (
        r"error: command '?(gcc|cc|clang|x86_64-linux-gnu-gcc|c\+\+|g\+\+)|Unable to find a compiler",
        "A package had to be compiled and there is no C compiler. Install one (Debian: apt-get install "
        "build-essential; macOS: xcode-select --install) and run the command again.",
    ),
    (r"No space left on device", "The disk is full. Free about 4 GB and run the command again."),
    (r"Permission denied", "A folder cannot be written. Check who owns this checkout, and run the command again."),
)


def main() -> int:
    """Make or update the environment; return the exit status."""
    parser = argparse.ArgumentParser(description="Make the environment and install the pinned packages.")
    parser.add_argument("--venv", default=".venv", type=Path)
    parser.add_argument("--extras", default="all,dev")
    options = parser.parse_args()
    if sys.version_info < LOWEST:
        return _fail(
            f"Python {LOWEST[0]}.{LOWEST[1]} or newer is needed; this is {sys.version.split()[0]}. "
            "Run: make demo PYTHON=python3.12"
        )
    target = ROOT / options.venv
    stamp = target / f".installed-{re.sub(r'[^a-z]+', '-', options.extras)}"
    wanted = _fingerprint(options.extras)
    if stamp.exists() and stamp.read_text("utf-8") == wanted:
        return 0
    python = target / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")
    if not _works(python):
        _say(f"Making the environment in {options.venv}")
        try:
            venv.EnvBuilder(with_pip=True, clear=target.exists()).create(target)
        except (OSError, subprocess.CalledProcessError):
            return _fail(
                "Python cannot make an environment here. On Debian or Ubuntu: apt-get install python3-venv; "
                "otherwise check that this folder can be written."
            )
    _say("Installing pinned packages (the first time takes some minutes and about 3 GB)")
    pins = ["--constraint", str(ROOT / "constraints.txt")]
    # PyTorch first and by its exact pin: any other way of asking may choose another build.
    for arguments in (["torch==2.13.0"], ["--editable", f"{ROOT}[{options.extras}]"]):
        if status := _pip(python, ["install", *pins, *arguments]):
            return status
    stamp.write_text(wanted, "utf-8")
    return 0


def _fingerprint(extras: str) -> str:
    content = extras.encode() + (ROOT / "constraints.txt").read_bytes() + (ROOT / "pyproject.toml").read_bytes()
    return hashlib.sha256(content).hexdigest()


def _works(python: Path) -> bool:
    """Whether the environment is whole: a killed start may have left half of one."""
    return (
        python.exists()
        and subprocess.run([python, "-m", "pip", "--version"], capture_output=True, check=False).returncode == 0  # noqa: S603  # our own interpreter
    )


def _pip(python: Path, arguments: list[str]) -> int:
    """Run pip, showing what it does line by line; on failure tell the one sentence that fits."""
    command = [str(python), "-m", "pip", "--disable-pip-version-check", *arguments]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)  # noqa: S603  # our own interpreter
    lines = []
    assert process.stdout is not None  # noqa: S101  # tells the type checker what PIPE means
    for line in process.stdout:
        lines.append(line)
        if line.startswith(("Collecting", "Downloading", "Building", "Installing", "  Downloading")):
            _say(f"  {line.strip()[:110]}")
    if process.wait() == 0:
        return 0
    output = "".join(lines)
    sys.stderr.write("".join(lines[-15:]))
    for pattern, hint in HINTS:
        if re.search(pattern, output):
            return _fail(hint)
    return _fail("pip could not install the packages; its last lines are above. Mend that and run the command again.")


def _say(text: str) -> None:
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def _fail(sentence: str) -> int:
    sys.stderr.write(f"\nreplybench: {sentence}\n")
    return 1


if __name__ == "__main__":
    sys.exit(main())
