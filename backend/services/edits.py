"""How far a text that a person wrote is from the model's answer."""

import re

from rapidfuzz.distance import Indel

#: Words, and each other sign by itself: as the widget counts (`widget/src/edits.ts`).
_WORDS = re.compile(r"[^\W_]+|\S")


def share_rewritten(offered: str, used: str) -> float:
    """Return 0 (the same words) to 1 (no word in common): one minus the share of words that both have in one order."""
    return float(Indel.normalized_distance(_WORDS.findall(offered), _WORDS.findall(used)))
