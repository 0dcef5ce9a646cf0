"""From prepared rows to token rows. The tokens of a prompt here are exactly those that serving sends."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from replybench.prompts import Segment, article_segments, thread_segments
from replybench.special_tokens import broken_up, special_tokens
from training.dataset import Article, Prepared, Split, Thread
from training.finetune.recipe import Data

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

#: The label that torch's cross entropy leaves out.
IGNORED = -100


@dataclass(frozen=True, slots=True)
class TokenRow:
    """One text as tokens. `labels[i]` is `input_ids[i]` where the loss is taken, else IGNORED."""

    input_ids: list[int]
    labels: list[int]
    source_id: str

    @property
    def targets(self) -> int:
        """How many tokens the loss is taken on (the first token of a row is never predicted)."""
        return sum(label != IGNORED for label in self.labels[1:])


@dataclass(frozen=True, slots=True)
class TokenRows:
    """The rows of one split, and what was done to make them."""

    rows: list[TokenRow]
    texts: int
    cut_texts: int
    dropped_windows: int

    @property
    def tokens(self) -> int:
        """All tokens."""
        return sum(len(row.input_ids) for row in self.rows)

    @property
    def targets(self) -> int:
        """Tokens that the loss is taken on."""
        return sum(row.targets for row in self.rows)


def encode(tokenizer: "PreTrainedTokenizerBase", segments: Sequence[Segment]) -> tuple[list[int], list[int]]:
    """Return (input ids, labels) of one text, with the end-of-text token as its last target.

    Serving tokenises everything up to ``### Answer:`` as one string. The same is done here at every place where
    the loss mask changes, and the rest is what the whole text adds to it: so each answer is learnt after the very
    tokens that it will be asked for with, in any tokenizer, merges across the border or not.
    """
    ids: list[int] = []
    labels: list[int] = []
    text, specials = "", special_tokens(tokenizer)
    for is_target, piece in _joined([Segment(broken_up(part.text, specials), part.is_target) for part in segments]):
        text += piece
        whole: list[int] = tokenizer(text)["input_ids"]
        # After a merge over the border the prompt's tokens stay, and the piece's own follow.
        fits = whole[: len(ids)] == ids
        new = whole[len(ids) :] if fits else tokenizer(piece, add_special_tokens=False)["input_ids"]
        ids += new
        labels += new if is_target else [IGNORED] * len(new)
    end = tokenizer.eos_token_id
    return [*ids, end], [*labels, end]


def _joined(segments: Sequence[Segment]) -> Iterable[tuple[bool, str]]:
    """Yield neighbouring segments with the same mask as one."""
    pending: list[str] = []
    for index, segment in enumerate(segments):
        pending.append(segment.text)
        if index + 1 == len(segments) or segments[index + 1].is_target != segment.is_target:
            yield segment.is_target, "".join(pending)
            pending.clear()


def thread_row(thread: Thread) -> list[Segment]:
    """Return a thread's segments up to the last answer: what a customer says after it teaches nothing."""
    last = max(index for index, turn in enumerate(thread.turns) if turn.role == "agent")
    return thread_segments(thread.subject, thread.turns[: last + 1])


def article_row(article: Article) -> list[Segment]:
    """Return an article's segments."""
    return article_segments(article.title, article.category, article.text)


def training_rows(tokenizer: "PreTrainedTokenizerBase", prepared: Prepared, data: Data) -> TokenRows:
    """Return what is learnt: articles and the training side's threads, as the recipe's `data` says."""
    texts = []
    if "articles" in data.use:
        texts += [(item.id, article_row(item)) for item in prepared.articles if _language_fits(item.language, data)]
    if "threads" in data.use:
        texts += [(item.id, thread_row(item)) for item in chosen_threads(prepared, data, "train")]
    return _windows(tokenizer, texts, data.max_tokens)


def heldout_rows(tokenizer: "PreTrainedTokenizerBase", prepared: Prepared, data: Data) -> TokenRows:
    """Return what is judged by: held-out threads alone, loss on the agents' turns, whatever was learnt from."""
    threads = chosen_threads(prepared, data, "heldout")
    return _windows(tokenizer, [(item.id, thread_row(item)) for item in threads], data.max_tokens)


def chosen_threads(prepared: Prepared, data: Data, split: Split) -> list[Thread]:
    """Return one side's threads with the wanted outcomes and languages, by id."""
    threads = [item for item in prepared.threads_of(split, data.outcomes) if _language_fits(item.language, data)]
    threads.sort(key=lambda item: item.id)
    return threads[: data.heldout_limit] if split == "heldout" else threads


def _language_fits(language: str, data: Data) -> bool:
    return data.languages is None or language in data.languages


def _windows(tokenizer: "PreTrainedTokenizerBase", texts: list[tuple[str, list[Segment]]], size: int) -> TokenRows:
    """Tokenise, and cut what is longer than `size` into windows, so that no target is lost to the limit."""
    rows: list[TokenRow] = []
    cut = dropped = 0
    for source_id, segments in texts:
        ids, labels = encode(tokenizer, segments)
        cut += len(ids) > size
        for start in range(0, len(ids), size):
            row = TokenRow(ids[start : start + size], labels[start : start + size], source_id)
            if row.targets:
                rows.append(row)
            else:
                dropped += 1
    return TokenRows(rows, texts=len(texts), cut_texts=cut, dropped_windows=dropped)
