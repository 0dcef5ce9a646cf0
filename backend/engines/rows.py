"""One row of a batch: what it has written so far, when it is done, and how its next token is chosen."""

import secrets
import threading
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from transformers import (
    LogitsProcessor,
    NoRepeatNGramLogitsProcessor,
    RepetitionPenaltyLogitsProcessor,
    StoppingCriteria,
    TopPLogitsWarper,
)

from backend.engines.base import Finished
from backend.engines.detokenizer import Detokenizer
from replybench.errors import ReplybenchError
from replybench.lineups import Generation
from replybench.prompts import clean_answer

Item = str | Finished | ReplybenchError


class Row:
    """A job in a batch. Written by the worker's thread only; `cancel` may come from any."""

    def __init__(
        self,
        *,
        prompt: list[int],
        was_cut: bool,
        adapter: str,
        limit: int,
        settings: Generation,
        markers: Sequence[str],
        tokenizer: Any,
        emit: Callable[[Item], None],
    ) -> None:
        """`limit` (tokens) bounds what it writes; `emit` gets pieces of text, then a `Finished` or an error."""
        self.prompt = prompt
        self.adapter = adapter
        self.limit = limit
        self.settings = settings
        self.written: list[int] = []
        self.is_done = False
        self._was_cut = was_cut
        self._markers = tuple(markers)
        self._look_back = max(map(len, self._markers), default=0)
        self._tail = ""
        self._text = Detokenizer(tokenizer)
        self._emit = emit
        self._cancelled = threading.Event()
        seed = settings.seed if settings.seed is not None else secrets.randbits(63)
        self.generator = torch.Generator().manual_seed(seed)

    @property
    def context(self) -> list[int]:
        """All tokens so far, those of the prompt included."""
        return [*self.prompt, *self.written]

    @property
    def remaining(self) -> int:
        """How many tokens it may still write."""
        return self.limit - len(self.written)

    @property
    def is_cancelled(self) -> bool:
        """Whether nobody wants it any more."""
        return self._cancelled.is_set()

    def cancel(self) -> None:
        """End it at the next step."""
        self._cancelled.set()

    def fail(self, error: ReplybenchError) -> None:
        """End it with an error."""
        self.is_done = True
        self._emit(error)

    def take(self, token: int, ends: frozenset[int]) -> bool:
        """Take the next token; return whether the row is done."""
        if self.is_done or self.is_cancelled:
            self.is_done = True
        elif token in ends:
            self._finish("stop")
        else:
            self.written.append(token)
            piece = self._text.add(token)
            if piece:
                self._emit(piece)
            if self._meets_marker(piece):
                self._finish("stop")
            elif self.remaining <= 0:
                self._finish("length")
        return self.is_done

    def _meets_marker(self, piece: str) -> bool:
        seen = self._tail + piece
        self._tail = seen[-self._look_back :] if self._look_back else ""
        return bool(self._markers) and clean_answer(seen, self._markers)[1]

    def _finish(self, reason: Any) -> None:
        self.is_done = True
        if rest := self._text.rest():
            self._emit(rest)
        cut = [*(["prompt"] if self._was_cut else []), *(["output"] if reason == "length" else [])]
        self._emit(Finished(reason, len(self.prompt), len(self.written), tuple(cut)))  # type: ignore[arg-type]  # literals


class WatchRows(StoppingCriteria):
    """Shows every row its new token at each step; ends a row when it is done, and all when there is news."""

    def __init__(self, rows: Sequence[Row], ends: frozenset[int], has_news: Callable[[int], bool]) -> None:
        """`has_news` is asked with the number of steps so far whether the batch should be made up anew."""
        self._rows = rows
        self._ends = ends
        self._has_news = has_news
        self._steps = 0

    def __call__(self, input_ids: Tensor, scores: Any, **_: Any) -> Tensor:
        """Return which rows are done: (rows,), bool."""
        self._steps += 1
        tokens = input_ids[:, -1].tolist()
        done = [row.take(token, self._ends) for row, token in zip(self._rows, tokens, strict=True)]
        if self._has_news(self._steps):
            done = [True] * len(done)
        return torch.tensor(done, device=input_ids.device)


class ChooseByRow(LogitsProcessor):
    """Applies each row's own settings, to the rows that have any.

    Sampling is by the Gumbel-max trick: noise from the row's own seeded generator is added and the largest wins, so
    `generate` stays greedy, and a seed gives the same text whatever else is in the batch.
    """

    def __init__(self, rows: Sequence[Row], starts: Sequence[int]) -> None:
        """`starts[i]`: where row i begins after its padding."""
        self._rows = [(i, row, starts[i], _processors(row.settings)) for i, row in enumerate(rows) if is_choosy(row)]

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Return the changed scores, (rows, vocabulary)."""
        for index, row, start, processors in self._rows:
            if row.is_done:
                continue
            own = scores[index : index + 1]
            for processor in processors:
                own = processor(input_ids[index : index + 1, start:], own)
            if row.settings.temperature > 0:
                own = own + _gumbel(own, row.generator)
            scores[index] = own[0]
        return scores


def is_choosy(row: Row) -> bool:
    """Whether a row wants anything but the most likely token."""
    wanted = row.settings
    return wanted.temperature > 0 or wanted.repetition_penalty != 1.0 or wanted.no_repeat_ngram_size > 0


def _processors(settings: Generation) -> list[Callable[[Tensor, Tensor], Tensor]]:
    chain: list[Callable[[Tensor, Tensor], Tensor]] = []
    if settings.repetition_penalty != 1.0:
        chain.append(RepetitionPenaltyLogitsProcessor(settings.repetition_penalty))
    if settings.no_repeat_ngram_size > 0:
        chain.append(NoRepeatNGramLogitsProcessor(settings.no_repeat_ngram_size))
    if settings.temperature > 0:
        chain.append(lambda _, scores: scores / settings.temperature)
        if settings.top_p < 1.0:
            chain.append(TopPLogitsWarper(settings.top_p))
    return chain


def _gumbel(scores: Tensor, generator: torch.Generator) -> Tensor:
    uniform = torch.rand(scores.shape, generator=generator, dtype=torch.float64)
    return -torch.log(-torch.log(uniform.clamp_(1e-300, 1 - 1e-16))).to(scores)
