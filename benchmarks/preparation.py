"""Preparation: memory and time for many tickets, made from the demo's by changing every question.

python -m benchmarks preparation                                  # 600 and 3,000 tickets, names by patterns
python -m benchmarks.preparation --tickets 10000 --names model    # one run, as large as asked for
"""

import argparse
import json
import random
import re
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure
from training.prepare.pipeline import Options, prepare

DEMO = Path(__file__).parent.parent / "demo" / "helpdesk"


@dataclass(frozen=True)
class Run:
    """What one preparation took: seconds, the peak of all its processes' own memory in MiB, and what came out."""

    tickets: int
    seconds: float
    peak_mib: float
    threads: int


def multiply(folder: Path, count: int) -> None:
    """Write `count` tickets like the demo's, no two questions alike, into `folder`."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "articles.jsonl").write_bytes((DEMO / "articles.jsonl").read_bytes())
    vocabulary = sorted(set(re.findall(r"[a-z]{4,12}", (DEMO / "articles.jsonl").read_text(encoding="utf-8"))))
    with (folder / "tickets.jsonl").open("w", encoding="utf-8") as target:
        for row in _copies(count, vocabulary):
            target.write(json.dumps(row, ensure_ascii=False) + "\n")


def _copies(count: int, vocabulary: list[str]) -> Iterator[dict[str, Any]]:
    chance = random.Random(1)
    files = [path for path in sorted(DEMO.glob("tickets-*.jsonl")) if "manifest" not in path.name]
    rows = [json.loads(line) for path in files for line in path.read_text(encoding="utf-8").splitlines()]
    for number in range(count):
        row = json.loads(json.dumps(rows[number % len(rows)]))
        row["id"] = f"{row['id']}-{number}"
        for turn in row["turns"]:
            field = "html" if turn.get("html") is not None else "text"
            words = " ".join(chance.sample(vocabulary, 30 if turn is row["turns"][0] else 3))
            turn[field] = f"{turn[field]}\n{words}." if field == "text" else f"<p>{words}.</p>{turn[field]}"
        yield row


def measure(raw: Path, tickets: int, options: Options) -> Run:
    """Prepare `raw` and return what it took."""
    with tempfile.TemporaryDirectory() as out, _Peak() as peak:
        began = time.perf_counter()
        figures = prepare(raw, Path(out) / "clean", options)
        return Run(tickets, time.perf_counter() - began, peak.read(), figures.threads)


def run() -> list[Figure]:
    """Compare a large with a small preparation, and two processes with one."""
    with tempfile.TemporaryDirectory() as folder:
        raws = {count: Path(folder) / str(count) for count in (600, 3000)}
        for count, raw in raws.items():
            multiply(raw, count)
        small = measure(raws[600], 600, Options(names="patterns", workers=2))
        large = measure(raws[3000], 3000, Options(names="patterns", workers=2))
        alone = measure(raws[3000], 3000, Options(names="patterns", workers=1))
    return [
        Figure(
            "peak memory for 3,000 tickets / for 600",
            large.peak_mib / small.peak_mib,
            1.25,
            {"MiB for 3,000": large.peak_mib, "MiB for 600": small.peak_mib},
            better="lower",
        ),
        Figure(
            "time for 3,000 tickets, two processes / one",
            large.seconds / alone.seconds,
            0.85,
            {"tickets/s with two": large.tickets / large.seconds, "tickets/s with one": alone.tickets / alone.seconds},
            better="lower",
        ),
    ]


class _Peak:
    """Samples the memory that this process and its children have for themselves."""

    def __enter__(self) -> "_Peak":
        self._mib = 0.0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()

    def read(self) -> float:
        return self._mib

    def _watch(self) -> None:
        import psutil

        me = psutil.Process()
        while not self._done.wait(0.5):
            total = 0
            for process in [me, *me.children(recursive=True)]:
                try:
                    total += process.memory_full_info().uss
                except psutil.Error:
                    continue
            self._mib = max(self._mib, total / 2**20)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tickets", type=int, default=10_000)
    parser.add_argument("--names", choices=("model", "patterns"), default="model")
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        multiply(Path(folder), arguments.tickets)
        took = measure(Path(folder), arguments.tickets, Options(names=arguments.names, workers=arguments.workers))
    print(
        f"{took.tickets} tickets, names by {arguments.names}, {arguments.workers} processes: {took.seconds:.0f} s, "
        f"{took.tickets / took.seconds:.1f} a second, peak {took.peak_mib:.0f} MiB, {took.threads} threads kept"
    )


if __name__ == "__main__":
    main()
