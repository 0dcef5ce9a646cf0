"""Which questions were asked before: exact duplicates, near duplicates, and groups for the split.

MinHash with locality-sensitive hashing proposes pairs, RapidFuzz decides them. Memory grows with the number of
threads by a signature (256 bytes) and the first characters of the question, not by the texts.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

#: Signature size; bands of 3 rows propose pairs from a Jaccard similarity of about 0.3 upward.
PERMUTATIONS = 96
BANDS, ROWS = 32, 3
#: Similarity (RapidFuzz, 0–100) from which a question is the same one in other words, and from which two questions are
#: too much alike to stand on both sides of the split.
SAME, ALIKE = 80.0, 66.0
#: Characters of a question that are compared; the first ones hold the question.
COMPARED = 600
#: Shorter questions than this many words are duplicates only if they are equal: 'Please help' is not a question.
MIN_WORDS = 8

_WORDS = re.compile(r"[^\W_]+", re.UNICODE)
_OPENING = re.compile(
    r"^\W*(?:(?:hi|hello|hey|dear|good (?:morning|afternoon|evening|day)|вітаю|привіт|доброго дня|добрий день"
    r"|добрий вечір)\b"
    r"(?: (?:there|again|all|team|everyone|support|sir|madam|merripot|dear support))*[ ,!.]*)+(?:\{\w+\}[ ,!.]*)?",
    re.IGNORECASE,
)


@dataclass(frozen=True, slots=True)
class Fingerprint:
    """What of a thread's question is kept for comparing: its normalised beginning and its MinHash signature."""

    normal: str
    signature: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Entry:
    """A thread in the comparison. `weight` says how full it is; of two equals the fuller one stays."""

    id: str
    fingerprint: Fingerprint
    weight: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Decision:
    """`of` is the id of the thread that stays in place of this one, `reason` why it goes; `group` is for the split."""

    group: str
    reason: str | None = None
    of: str | None = None


def fingerprint(question: str) -> Fingerprint:
    """Return the fingerprint of a redacted question."""
    from datasketch import MinHash

    normal = normalise(question)
    words = normal.split()
    shingles = {" ".join(words[at : at + 2]) for at in range(max(1, len(words) - 1))} | set(words)
    sketch = MinHash(num_perm=PERMUTATIONS, seed=1)
    sketch.update_batch([shingle.encode() for shingle in sorted(shingles)])
    return Fingerprint(normal[:COMPARED], tuple(int(value) for value in sketch.hashvalues))


def normalise(question: str) -> str:
    """Return a question in small letters, without greeting, placeholders and punctuation."""
    text = re.sub(r"\{\w+\}", " ", _OPENING.sub("", question))
    return " ".join(_WORDS.findall(text.casefold().replace("'", "").replace("’", "")))


def decide(entries: Sequence[Entry]) -> dict[str, Decision]:
    """Return what becomes of every thread. The result does not depend on the order of `entries`."""
    ordered = sorted(entries, key=lambda entry: (*(-value for value in entry.weight), entry.id))
    groups = _Groups(entry.id for entry in ordered)
    kept: dict[str, str | None] = {}
    reasons: dict[str, str] = {}
    exact: dict[str, str] = {}
    buckets: dict[tuple[int, ...], list[int]] = {}
    for index, entry in enumerate(ordered):
        first = exact.setdefault(entry.fingerprint.normal, entry.id)
        if first != entry.id:
            kept[entry.id], reasons[entry.id] = first, "duplicate"
            groups.join(first, entry.id)
            continue
        best = _nearest(entry, index, ordered, buckets, groups, kept)
        if best:
            kept[entry.id], reasons[entry.id] = best, "near_duplicate"
        else:
            kept[entry.id] = None
    return {entry.id: Decision(groups.name(entry.id), reasons.get(entry.id), kept[entry.id]) for entry in ordered}


def _nearest(
    entry: Entry,
    index: int,
    ordered: Sequence[Entry],
    buckets: dict[tuple[int, ...], list[int]],
    groups: "_Groups",
    kept: dict[str, str | None],
) -> str | None:
    """Return the id of the fuller thread whose question this one repeats; join the groups of those that are alike."""
    from rapidfuzz import fuzz

    candidates: set[int] = set()
    signature = entry.fingerprint.signature
    for band in range(BANDS):
        key = (band, *signature[band * ROWS : (band + 1) * ROWS])
        bucket = buckets.setdefault(key, [])
        candidates.update(bucket[:50])  # a bucket of boilerplate must not make the work quadratic
        bucket.append(index)
    best: tuple[float, str] | None = None
    words = entry.fingerprint.normal.split()
    for candidate in sorted(candidates):
        other = ordered[candidate]
        score = _similarity(entry.fingerprint.normal, other.fingerprint.normal, fuzz)
        if score >= ALIKE:
            groups.join(other.id, entry.id)
        is_long = min(len(words), len(other.fingerprint.normal.split())) >= MIN_WORDS
        if score >= SAME and is_long and kept.get(other.id) is None and (best is None or score > best[0]):
            best = (score, other.id)
    return best[1] if best else None


def _similarity(one: str, other: str, fuzz: Any) -> float:
    """Return how alike two questions are: the same words, and in much the same order."""
    if min(len(one), len(other)) * 2 < max(len(one), len(other)):
        return 0.0
    return float(min(fuzz.token_sort_ratio(one, other), fuzz.ratio(one, other) + 10))


class _Groups:
    """Disjoint sets of ids, each called by its smallest member."""

    def __init__(self, ids: Any) -> None:
        self._parent = {name: name for name in ids}

    def name(self, member: str) -> str:
        while self._parent[member] != member:
            self._parent[member] = self._parent[self._parent[member]]
            member = self._parent[member]
        return member

    def join(self, one: str, other: str) -> None:
        small, large = sorted((self.name(one), self.name(other)))
        self._parent[large] = small
