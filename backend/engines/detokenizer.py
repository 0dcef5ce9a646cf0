"""From tokens to text as they come, without torch."""

from typing import Any


class Detokenizer:
    """Turns tokens into text as they come; never emits half a character.

    A token's text depends on its neighbours, so a short stretch before it is decoded along and taken off again.
    """

    def __init__(self, tokenizer: Any) -> None:
        self._tokenizer = tokenizer
        self._ids: list[int] = []
        self._start = 0  # of the stretch that is decoded along
        self._read = 0  # tokens before this have been emitted

    def add(self, token: int) -> str:
        """Return the text that `token` completes; empty while a character is still incomplete."""
        self._ids.append(token)
        before, text = self._decode(self._ids[self._start : self._read]), self._decode(self._ids[self._start :])
        if text.endswith("\ufffd") or len(text) <= len(before):
            return ""
        self._start, self._read = self._read, len(self._ids)
        return text[len(before) :]

    def rest(self) -> str:
        """Return what is left at the end, without an incomplete character."""
        before, text = self._decode(self._ids[self._start : self._read]), self._decode(self._ids[self._start :])
        self._start = self._read = len(self._ids)
        return text[len(before) :].rstrip("\ufffd")

    def _decode(self, ids: list[int]) -> str:
        text: str = self._tokenizer.decode(ids, skip_special_tokens=True, clean_up_tokenization_spaces=False)
        return text
