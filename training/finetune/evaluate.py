"""An adapter's answers to held-out tickets beside its base's: how near do they come to what the agents wrote?

Three measures of nearness, each 0 to 1, each with a bootstrap interval over tickets:

* token F1: shared words, whatever their order;
* ROUGE-L: the longest common run of words in order;
* similarity: the cosine of sentence embeddings (all-MiniLM-L6-v2, from a pip package).

They stand in for no rating: a good answer may be worded otherwise. They tell whether a run has learnt the way that
these agents answer, before people are asked to rate it.
"""

import re
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from replybench.embeddings import PACKAGED, Encoder, packaged_is_installed
from replybench.prompts import Turn, chat_messages, clean_answer, study_prompt
from replybench.special_tokens import broken_up, special_tokens
from training.dataset import Thread

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

_WORD = re.compile(r"\w+")
MEASURES = ("token_f1", "rouge_l", "similarity")
_RESAMPLES = 2_000
Prompter = Callable[[str, Sequence[Turn]], str]


@dataclass(frozen=True, slots=True)
class HeldoutTicket:
    """A held-out ticket up to its first answer, and that answer as the agent wrote it."""

    thread_id: str
    subject: str
    turns: tuple[Turn, ...]
    reference: str


@dataclass(frozen=True, slots=True)
class Interval:
    """A mean over tickets with its 95% bootstrap interval (percentiles)."""

    mean: float
    lower: float
    upper: float


def heldout_tickets(threads: Sequence[Thread], limit: int) -> list[HeldoutTicket]:
    """Return the first `limit` threads, each cut before its first answer."""
    found = []
    for thread in threads[:limit]:
        first = next(index for index, turn in enumerate(thread.turns) if turn.role == "agent")
        found.append(HeldoutTicket(thread.id, thread.subject, thread.turns[:first], thread.turns[first].text))
    return found


def study_form(subject: str, turns: Sequence[Turn]) -> str:
    """Return the prompt that the adapter was trained for."""
    return study_prompt(subject, turns)


def own_form(tokenizer: "PreTrainedTokenizerBase") -> Prompter:
    """Return the prompt that serves the untuned base best: its own chat template, if it has one."""
    if not tokenizer.chat_template:
        return study_form

    def prompt(subject: str, turns: Sequence[Turn]) -> str:
        messages = chat_messages(subject, turns)
        return str(tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False))

    return prompt


def answers(
    model: Any,
    tokenizer: "PreTrainedTokenizerBase",
    tickets: Sequence[HeldoutTicket],
    prompter: Prompter,
    *,
    max_new_tokens: int,
    rows_at_once: int = 8,
    max_prompt_tokens: int = 1024,
) -> list[str]:
    """Return the model's greedy answers, cleaned as serving cleans them.

    Of a prompt that is too long the end is kept: it holds the question and the answer's label.
    """
    import torch

    was_training = model.training
    model.eval()
    ordered = sorted(range(len(tickets)), key=lambda at: len(tickets[at].turns[-1].text))
    written, specials = [""] * len(tickets), special_tokens(tokenizer)
    device = next(model.parameters()).device
    for start in range(0, len(ordered), rows_at_once):
        chosen = ordered[start : start + rows_at_once]
        prompts = [_prompt(tickets[at], prompter, specials) for at in chosen]
        is_chat = prompter is not study_form
        rows = [tokenizer(text, add_special_tokens=not is_chat)["input_ids"][-max_prompt_tokens:] for text in prompts]
        longest = max(map(len, rows))
        pad = tokenizer.pad_token_id
        ids = torch.tensor([[pad] * (longest - len(row)) + row for row in rows], device=device)
        mask = torch.tensor([[0] * (longest - len(row)) + [1] * len(row) for row in rows], device=device)
        with torch.no_grad():
            out = model.generate(
                input_ids=ids,
                attention_mask=mask,
                max_new_tokens=max_new_tokens,
                do_sample=False,
                use_cache=True,
                pad_token_id=pad,
            )
        for at, tokens in zip(chosen, out[:, longest:], strict=True):
            written[at] = clean_answer(str(tokenizer.decode(tokens, skip_special_tokens=True)))[0]
    model.train(was_training)
    return written


def _prompt(ticket: HeldoutTicket, prompter: Prompter, specials: Sequence[str]) -> str:
    turns = [Turn(turn.role, broken_up(turn.text, specials)) for turn in ticket.turns]
    return prompter(broken_up(ticket.subject, specials), turns)


def untuned(model: Any) -> AbstractContextManager[Any]:
    """Return a context in which an adapted model answers as its base."""
    disable = getattr(model, "disable_adapter", None)
    return disable() if disable else nullcontext()


def token_f1(written: str, reference: str) -> float:
    """Return the harmonic mean of precision and recall over words, case aside."""
    left, right = Counter(_WORD.findall(written.lower())), Counter(_WORD.findall(reference.lower()))
    shared = sum((left & right).values())
    if not shared:
        return 0.0
    precision, recall = shared / sum(left.values()), shared / sum(right.values())
    return 2 * precision * recall / (precision + recall)


def nearness(written: Sequence[str], references: Sequence[str]) -> dict[str, list[float]]:
    """Return each measure for each ticket.

    The similarity is left out where the package with the embedding model is not installed.
    """
    from rouge_score.rouge_scorer import RougeScorer  # type: ignore[import-untyped]  # ships no types

    rouge = RougeScorer(["rougeL"], use_stemmer=False, tokenizer=_Words())
    measures = {
        "token_f1": [token_f1(*pair) for pair in zip(written, references, strict=True)],
        "rouge_l": [
            float(rouge.score(reference, text)["rougeL"].fmeasure)
            for text, reference in zip(written, references, strict=True)
        ],
    }
    similar = _similarities(written, references)
    return measures | ({"similarity": similar} if similar is not None else {})


class _Words:
    """ROUGE's own tokenizer knows ASCII alone; answers may be Ukrainian."""

    def tokenize(self, text: str) -> list[str]:
        """Return the words of `text`."""
        return _WORD.findall(text.lower())


def _similarities(written: Sequence[str], references: Sequence[str]) -> list[float] | None:
    import numpy as np

    if not packaged_is_installed():
        return None
    encoder = Encoder(PACKAGED)
    left, right = np.array(encoder.encode(written)), np.array(encoder.encode(references))
    return [float(value) for value in (left * right).sum(axis=1)]


def interval(values: Sequence[float], seed: int = 0) -> Interval:
    """Return the mean over tickets and its 95% interval; of one ticket the interval is the value."""
    import numpy as np

    data = np.asarray(values, dtype=np.float64)
    draws = np.random.default_rng(seed).integers(0, len(data), (_RESAMPLES, len(data)))
    lower, upper = np.percentile(data[draws].mean(axis=1), [2.5, 97.5])
    return Interval(float(data.mean()), float(lower), float(upper))


def compare(
    model: Any, tokenizer: "PreTrainedTokenizerBase", tickets: Sequence[HeldoutTicket], *, max_new_tokens: int
) -> dict[str, dict[str, Interval]]:
    """Answer held-out tickets with and without the adapter.

    Returns:
        measure → {"adapter", "base", "difference"} with intervals; the difference is paired by ticket.
    """
    references = [ticket.reference for ticket in tickets]
    ours = answers(model, tokenizer, tickets, study_form, max_new_tokens=max_new_tokens)
    with untuned(model):
        theirs = answers(model, tokenizer, tickets, own_form(tokenizer), max_new_tokens=max_new_tokens)
    adapter, base = nearness(ours, references), nearness(theirs, references)
    return {
        name: {
            "adapter": interval(adapter[name]),
            "base": interval(base[name]),
            "difference": interval([a - b for a, b in zip(adapter[name], base[name], strict=True)]),
        }
        for name in adapter
    }
