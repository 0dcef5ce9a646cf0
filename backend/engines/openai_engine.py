"""The engine for every server that speaks OpenAI's protocol: OpenAI itself, vLLM, SGLang, TGI, llama.cpp, Ollama.

Candidates in chat format use chat completions; those in study format (an adapter on a vLLM server, say) use plain
completions with the very prompt that they were trained on. Nothing is retried: a stream cannot be, and a rater who
waits is better told.
"""

import re
from collections.abc import AsyncGenerator, Iterable
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from backend.engines.base import EngineFailure, EngineInfo, Finished, Job
from backend.engines.fitting import Ruler, fit
from backend.logs import log
from replybench.errors import ConfigError
from replybench.lineups import Candidate
from replybench.prompts import PromptFormat, chat_messages, study_prompt

if TYPE_CHECKING:
    from openai import AsyncOpenAI

_CONNECT_S = 10.0
#: A prompt for a remote model is measured in characters; this many to a token is on the safe side in English.
_CHARS_PER_TOKEN = 3
#: OpenAI takes four; the first is the one that matters, the others are cut off here.
_MAX_STOPS = 4
_KEY_LIKE = re.compile(r"\b(?:sk-|pk-|Bearer )[\w*.\-]{4,}")
_LONGEST_WORDS = 300


class OpenAIEngine:
    """One per server."""

    def __init__(self, candidates: Iterable[Candidate], base_url: str | None, api_key: str | None) -> None:
        """`base_url`: OpenAI's own if None. `api_key`: sent to that server alone."""
        self._candidates = list(candidates)
        self._base_url = base_url
        self._api_key = api_key
        self._client: AsyncOpenAI | None = None

    async def start(self) -> None:
        """Make the client; whether the server answers shows when it is asked."""
        import openai

        if not self._api_key and self._base_url is None:
            raise ConfigError("OPENAI_API_KEY is not set, and this lineup asks OpenAI. Set it, or change the lineup.")
        self._client = openai.AsyncOpenAI(
            api_key=self._api_key or "none",
            base_url=self._base_url,
            max_retries=0,
            timeout=openai.Timeout(_CONNECT_S, read=max(c.timeout_s for c in self._candidates)),
        )

    async def stream(self, job: Job) -> AsyncGenerator[str | Finished, None]:
        """Ask the server and yield what it sends."""
        import openai

        job, was_cut = fit(job, job.candidate.max_prompt_tokens * _CHARS_PER_TOKEN, _RULER)
        has_begun = False
        try:
            async for item in self._asked(job, was_cut=was_cut):
                has_begun = True
                yield item
        except EngineFailure:
            raise
        except openai.APITimeoutError as error:
            raise EngineFailure("The provider did not answer in time. Ask again.", reason="timeout") from error
        except openai.APIStatusError as error:
            raise self._status_failure(error, job) from error
        except openai.APIConnectionError as error:
            raise (_broken() if has_begun else _unreachable()) from error
        except openai.APIError as error:  # told within the stream
            words = self._words(error.message, job)
            raise EngineFailure(f"The provider broke off: {words}", reason="provider_error") from error
        except Exception as error:  # whatever the transport raises when a connection breaks
            log().warning("stream_broke", candidate=job.candidate.key, exc_info=error)
            raise _broken() from error

    def describe(self) -> EngineInfo:
        """Return whom it asks."""
        title = urlsplit(self._base_url).netloc if self._base_url else "OpenAI"
        return EngineInfo(title, "remote", None, tuple(candidate.key for candidate in self._candidates))

    async def close(self) -> None:
        """Close the connections."""
        if self._client is not None:
            await self._client.close()

    async def _asked(self, job: Job, *, was_cut: bool) -> AsyncGenerator[str | Finished, None]:
        reason, usage = None, None
        chunks = await self._create(job)
        try:
            async for chunk in chunks:
                usage = chunk.usage or usage
                for choice in chunk.choices[:1]:
                    reason = choice.finish_reason or reason
                    text = choice.text if job.candidate.prompt is PromptFormat.STUDY else choice.delta.content
                    if text:
                        yield text
        finally:
            await chunks.close()  # a cancelled job must not go on costing money
        if reason is None:
            raise _broken()
        if reason == "content_filter":
            raise EngineFailure("The provider's content filter stopped this answer.", reason="content_filter")
        cut = [*(["prompt"] if was_cut else []), *(["output"] if reason == "length" else [])]
        yield Finished(
            "length" if reason == "length" else "stop",
            usage.prompt_tokens if usage else None,
            usage.completion_tokens if usage else None,
            tuple(cut),  # type: ignore[arg-type]  # only the two literals are in it
        )

    async def _create(self, job: Job) -> Any:
        """Return the server's stream of chunks."""
        client: Any = self._client
        wanted = job.settings
        stops = [*(["\n###"] if job.candidate.prompt is PromptFormat.STUDY else []), *job.stop][:_MAX_STOPS]
        options: dict[str, Any] = {
            "model": job.candidate.model,
            "temperature": wanted.temperature,
            "top_p": wanted.top_p,
            "stream": True,
            "stream_options": {"include_usage": True},
            "timeout": job.candidate.timeout_s,
        }
        if stops:
            options["stop"] = stops
        if wanted.seed is not None:
            options["seed"] = wanted.seed
        if self._base_url and wanted.repetition_penalty != 1.0:  # the common extension; OpenAI's own refuses it
            options["extra_body"] = {"repetition_penalty": wanted.repetition_penalty}
        if job.candidate.prompt is PromptFormat.STUDY:
            prompt = study_prompt(job.subject, job.turns, sources=job.sources)
            return await client.completions.create(prompt=prompt, max_tokens=wanted.max_new_tokens, **options)
        # OpenAI's newer models take only the newer name, other servers often only the older one.
        options["max_tokens" if self._base_url else "max_completion_tokens"] = wanted.max_new_tokens
        return await client.chat.completions.create(messages=_messages(job), **options)

    def _status_failure(self, error: Any, job: Job) -> EngineFailure:
        """Say what the provider said, in its own words."""
        status = int(error.status_code)
        words = self._words(error.body.get("message") if isinstance(error.body, dict) else None, job)
        if status == 429:
            retry_after = _seconds(error.response.headers.get("retry-after"))
            when = f" Ask again in {retry_after} s." if retry_after else " Ask again later."
            told = f"The provider takes no more just now (429): {words}{when}"
            return EngineFailure(told, reason="rate_limited", retry_after_s=retry_after)
        if status in {401, 403}:
            return EngineFailure(f"The provider refused the key ({status}): {words}", reason="refused")
        return EngineFailure(f"The provider answered {status}: {words}", reason="provider_error")

    def _words(self, words: object, job: Job) -> str:
        """Return a provider's words, without keys and without what the customer wrote."""
        text = words if isinstance(words, str) and words.strip() else "it gave no reason."
        if self._api_key:
            text = text.replace(self._api_key, "…")
        text = _KEY_LIKE.sub("…", text)
        for passage in (job.subject, *job.sources, *(turn.text for turn in job.turns)):
            for line in passage.splitlines():
                if len(line.strip()) >= 12:
                    text = text.replace(line.strip(), "…")
        return text if len(text) <= _LONGEST_WORDS else f"{text[:_LONGEST_WORDS]}…"


def _messages(job: Job) -> list[dict[str, str]]:
    system = job.candidate.system if job.system is None else job.system
    return chat_messages(job.subject, job.turns, sources=job.sources, system=system)


def _length(job: Job) -> int:
    if job.candidate.prompt is PromptFormat.STUDY:
        return len(study_prompt(job.subject, job.turns, sources=job.sources))
    return sum(len(message["content"]) for message in _messages(job))


_RULER: Ruler[str] = Ruler(measure=_length, split=list, join="".join)


def _broken() -> EngineFailure:
    return EngineFailure("The connection to the provider broke in the middle. Ask again.", reason="broken_stream")


def _unreachable() -> EngineFailure:
    return EngineFailure("The provider cannot be reached. Ask again later.", reason="unreachable")


def _seconds(header: str | None) -> int | None:
    return int(header) if header and header.isdecimal() else None
