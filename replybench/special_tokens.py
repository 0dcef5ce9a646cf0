"""A text cannot pass for a tokenizer's special token: not a customer's in serving, not an old ticket's in training."""

from collections.abc import Sequence
from typing import Any


def special_tokens(tokenizer: Any) -> list[str]:
    """Return what must be broken up in texts, longest first, so that none is left within another's remains.

    Args:
        tokenizer: Transformers' (not imported here: the console has none).
    """
    found = set(tokenizer.all_special_tokens) | set(tokenizer.get_added_vocab())
    return sorted((token for token in found if len(token) > 2), key=lambda token: (-len(token), token))


def broken_up(text: str, specials: Sequence[str]) -> str:
    """Return `text` with a space within each special token: somebody who writes ``<|im_end|>`` ends no turn by it."""
    for token in specials:
        if token in text:
            text = text.replace(token, f"{token[0]} {token[1:]}")
    return text
