"""Mixed load for 20 minutes: does the memory of backend and console stay flat? `make soak` (not part of `make bench`).

Raters ask and score through two backends' HTTP, browsers come and go at the console. Memory is sampled every few
seconds; it is flat if the last quarter's median is at most 5 % or 8 MiB above the second quarter's.
"""

import argparse
import statistics
import sys
import tempfile
import threading
import time
from contextlib import ExitStack
from pathlib import Path

import psutil
from playwright.sync_api import sync_playwright

from benchmarks.__main__ import write_section
from benchmarks.figures import Figure, as_markdown
from tests.e2e.live_stack import launch
from tests.faults.load import Load
from tests.faults.stack import KEY, Backend, Postgres, Process, free_port, replybench, wait_until

_SHARE, _MIB = 1.05, 8.0


def resident_mib(process: Process) -> float:
    """Memory that only this process and its children hold."""
    assert process.child is not None
    family = [psutil.Process(process.child.pid), *psutil.Process(process.child.pid).children(recursive=True)]
    return sum(member.memory_info().rss for member in family) / 2**20


def visit(url: str, stopping: threading.Event, visits: list[float]) -> None:
    """Come and go at the console like people with browsers."""
    with sync_playwright() as playwright:
        browser = launch(playwright)
        while not stopping.is_set():
            context = browser.new_context()
            page = context.new_page()
            page.goto(url)
            page.get_by_text("Welcome to Replybench").wait_for(timeout=60_000)
            visits.append(time.monotonic())
            context.close()
            stopping.wait(1)
        browser.close()


def figure(name: str, samples: list[float]) -> Figure:
    """Compare the last quarter with the second one (the first is warming up)."""
    quarter = len(samples) // 4
    before = statistics.median(samples[quarter : 2 * quarter])
    after = statistics.median(samples[3 * quarter :])
    limit = max(_SHARE, 1 + _MIB / before)
    detail = {"second quarter MiB": before, "last quarter MiB": after, "most MiB": max(samples)}
    return Figure(f"memory of the {name}, last quarter over second", after / before, limit, detail, "lower")


def soak(minutes: float) -> list[Figure]:
    """Run the load and return what became of the memory."""
    with ExitStack() as cleanup:
        folder = Path(cleanup.enter_context(tempfile.TemporaryDirectory(prefix="rb-soak-", ignore_cleanup_errors=True)))
        folder.chmod(0o755)
        postgres = Postgres(folder / "pg" / "data")
        postgres.make()
        postgres.start()
        cleanup.callback(postgres.stop)
        backend = Backend(postgres.url, Path("lineups/scripted.toml").resolve(), folder)
        backend.start()
        cleanup.callback(backend.stop)
        backend.wait()
        port = free_port()
        environment = {"BACKEND_URL": backend.url, "API_KEY": KEY, "OIDC_FILE": ""}
        console = Process(replybench("console", "--port", str(port)), folder / "console.log", environment)
        console.start()
        cleanup.callback(console.stop)
        return _measured(backend, console, f"http://127.0.0.1:{port}", minutes)


def _measured(backend: Backend, console: Process, url: str, minutes: float) -> list[Figure]:
    load, stopping = Load([backend.url], raters=6), threading.Event()
    visits: list[float] = []
    visitor = threading.Thread(target=visit, args=(url, stopping, visits))
    backend_mib: list[float] = []
    console_mib: list[float] = []
    load.start()
    visitor.start()
    try:
        wait_until(lambda: bool(visits), "the first visit", 120)
        end, pause = time.monotonic() + 60 * minutes, max(1.0, 60 * minutes / 240)
        while time.monotonic() < end:
            time.sleep(pause)
            backend_mib.append(resident_mib(backend.process))
            console_mib.append(resident_mib(console))
    finally:
        stopping.set()
        load.stop()
        visitor.join(60)
    figures = [figure("backend", backend_mib), figure("console", console_mib)]
    figures[0].detail.update(
        {"minutes": minutes, "tickets": load.asked, "ratings": len(load.acknowledged), "refused": load.refused}
    )
    figures[1].detail["browser sessions"] = len(visits)
    return figures


def main() -> int:
    """Run it; return 1 if memory grew."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.soak", description=__doc__)
    parser.add_argument("--minutes", type=float, default=20)
    parser.add_argument("--write", action="store_true", help="put the table into docs/BENCHMARKS.md")
    options = parser.parse_args()
    figures = soak(options.minutes)
    table = as_markdown(figures)
    print(table)
    if options.write:
        write_section("soak", table)
    return 0 if all(one.is_met for one in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
