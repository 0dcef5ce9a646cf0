"""From a job to prompt tokens: the same text as in training, and no way for a customer to leave their turn."""

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from backend.engines.base import Job
from backend.engines.fitting import Ruler, fit
from replybench.errors import ConfigError
from replybench.prompts import PromptFormat, Turn, chat_messages, study_prompt
from replybench.special_tokens import broken_up, special_tokens

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True, slots=True)
class PromptTokens:
    """A prompt as token ids, and whether something of the ticket was left out of it."""

    ids: list[int]
    was_cut: bool


class PromptEncoder:
    """Encodes jobs for one tokenizer."""

    def __init__(self, tokenizer: "PreTrainedTokenizerBase") -> None:
        self._tokenizer: Any = tokenizer
        self._specials = special_tokens(tokenizer)
        self._ruler: Ruler[int] = Ruler(
            measure=lambda job: len(self._ids(job)),
            split=lambda text: self._tokenizer(text, add_special_tokens=False)["input_ids"],
            join=lambda ids: self._tokenizer.decode(ids, skip_special_tokens=True),
        )

    def check(self, prompt: PromptFormat, key: str) -> None:
        """Raise ConfigError if the tokenizer cannot write this format."""
        if prompt is PromptFormat.CHAT and not self._tokenizer.chat_template:
            raise ConfigError(f"candidate '{key}': its base has no chat template. Set prompt = \"study\".")

    def encode(self, job: Job, limit: int) -> PromptTokens:
        """Return at most `limit` tokens; `backend.engines.fitting` says what is left out.

        Raises:
            ConfigError: not even an empty ticket fits.
        """
        job, was_cut = fit(self._defused(job), limit, self._ruler)
        return PromptTokens(self._ids(job), was_cut)

    def _ids(self, job: Job) -> list[int]:
        if job.candidate.prompt is PromptFormat.STUDY:
            text = study_prompt(job.subject, job.turns, sources=job.sources)
            return list(self._tokenizer(text)["input_ids"])
        system = job.candidate.system if job.system is None else job.system
        messages = chat_messages(job.subject, job.turns, sources=job.sources, system=system)
        text = self._tokenizer.apply_chat_template(messages, add_generation_prompt=True, tokenize=False)
        return list(self._tokenizer(text, add_special_tokens=False)["input_ids"])

    def _defused(self, job: Job) -> Job:
        """Return the job with the tokenizer's special tokens in its texts broken up."""

        def plain(text: str) -> str:
            return broken_up(text, self._specials)

        turns = tuple(Turn(turn.role, plain(turn.text)) for turn in job.turns)
        sources = tuple(plain(source) for source in job.sources)
        return replace(job, subject=plain(job.subject), turns=turns, sources=sources)
