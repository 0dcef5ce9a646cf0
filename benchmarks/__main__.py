"""Run all benchmarks, or those named: `python -m benchmarks [NAME …] [--write] [--list] [--strict]`.

Each runs in a process of its own, so that none inherits another's memory, threads or caches.
"""

import argparse
import json
import multiprocessing
import pkgutil
import platform
import re
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict
from datetime import UTC, datetime
from importlib import metadata
from pathlib import Path

import benchmarks
from benchmarks.figures import Figure, as_markdown, run_one

DOCUMENT = Path(__file__).resolve().parent.parent / "docs" / "BENCHMARKS.md"
#: Versions that decide speed.
_LIBRARIES = ("torch", "transformers", "peft", "openvino-genai", "xllamacpp", "streamlit", "psycopg")


def names() -> list[str]:
    """Return the names of the modules that have a `run`, without importing any."""
    return [
        module.name
        for module in pkgutil.iter_modules(benchmarks.__path__)
        if re.search(r"^def run\(", _source(module.name), re.MULTILINE)
    ]


def _source(name: str) -> str:
    return (Path(__file__).parent / f"{name}.py").read_text("utf-8")


def title(name: str) -> str:
    """Return the first line of a benchmark's docstring."""
    match = re.match(r'"""(.+)', _source(name))
    return match[1].rstrip('".') if match else name


def machine() -> str:
    """Return one line on the machine and the libraries."""
    model = platform.processor() or platform.machine()
    if (info := Path("/proc/cpuinfo")).exists() and (found := re.search(r"model name\s*: (.+)", info.read_text())):
        model = found[1]
    versions = []
    for library in _LIBRARIES:
        try:
            versions.append(f"{library} {metadata.version(library)}")
        except metadata.PackageNotFoundError:
            continue
    cores = multiprocessing.cpu_count()
    return f"{model}, {cores} cores, {platform.system()}, Python {platform.python_version()}; {', '.join(versions)}"


def write_section(name: str, table: str) -> None:
    """Put a benchmark's table into docs/BENCHMARKS.md, in the place of its earlier one."""
    begin, end = f"<!-- bench:{name} -->", f"<!-- /bench:{name} -->"
    stamp = f"Measured {datetime.now(UTC):%Y-%m-%d} on {machine()}."
    section = f"{begin}\n{table}\n\n{stamp}\n{end}"
    text = DOCUMENT.read_text("utf-8") if DOCUMENT.exists() else "# Benchmarks\n"
    if begin in text:
        text = re.sub(f"{re.escape(begin)}.*?{re.escape(end)}", lambda _: section, text, flags=re.DOTALL)
    else:
        text = f"{text.rstrip()}\n\n## {title(name)}\n\n`python -m benchmarks {name}`\n\n{section}\n"
    DOCUMENT.parent.mkdir(exist_ok=True)
    DOCUMENT.write_text(text, "utf-8")


def main() -> int:
    """Run them; return 1 if one broke, or with --strict if one missed its target."""
    known = names()
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("name", nargs="*", help="which (default: all)")
    parser.add_argument("--list", action="store_true", help="show what there is")
    parser.add_argument("--write", action="store_true", help="put the tables into docs/BENCHMARKS.md")
    parser.add_argument("--strict", action="store_true", help="fail when a target is missed")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    options = parser.parse_args()
    if unknown := set(options.name) - set(known):
        parser.error(f"there is no benchmark {', '.join(sorted(unknown))}; there are: {', '.join(known)}")
    if options.list:
        for name in known:
            print(f"{name:<16} {title(name)}")
        return 0
    results: dict[str, list[Figure]] = {}
    broken = False
    print(machine(), flush=True)
    for name in options.name or known:
        start = time.monotonic()
        print(f"\n{name}: {title(name)}", flush=True)
        try:
            with ProcessPoolExecutor(1, mp_context=multiprocessing.get_context("spawn")) as pool:
                results[name] = pool.submit(run_one, name).result()
        except Exception as error:  # one benchmark that breaks must not hide the others' figures
            broken = True
            print(f"  broke after {time.monotonic() - start:.0f} s: {type(error).__name__}: {error}", flush=True)
            continue
        table = as_markdown(results[name])
        print(f"{table}\n({time.monotonic() - start:.0f} s)", flush=True)
        if options.write:
            write_section(name, table)
    if options.json:
        plain = {name: [asdict(figure) for figure in figures] for name, figures in results.items()}
        options.json.write_text(json.dumps({"machine": machine(), "results": plain}, indent=2), "utf-8")
    missed = [figure.name for figures in results.values() for figure in figures if not figure.is_met]
    if missed:
        print("\nMissed: " + "; ".join(missed))
    return 1 if broken or (missed and options.strict) else 0


if __name__ == "__main__":
    sys.exit(main())
