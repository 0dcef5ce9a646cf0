"""The candidates behind OpenAI's protocol: nothing is stored, the conversation comes as it is."""

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import replace

from backend.engines.base import EngineFailure, Finished, Job
from backend.retrieval import grounding
from backend.services.roster import Roster, Seat
from backend.services.suggestions import Desk
from replybench.errors import InvalidInput, Unavailable
from replybench.lineups import Generation
from replybench.openai_contract import ChatCompletionRequest, Message
from replybench.prompts import Turn, clean_answer, streamable

#: How often it is looked whether the client still waits, in seconds.
_LOOK_S = 0.5


def job_of(roster: Roster, body: ChatCompletionRequest) -> tuple[Seat, Job]:
    """Return who is asked and what.

    Raises:
        NotFound: no such model.
        InvalidInput: no message of a user, or settings out of range.
        Unavailable: the models are still being loaded.
    """
    seat = roster.by_key(body.model)
    if not roster.is_started:
        raise Unavailable("The models are still being loaded. Try again in a moment.")
    turns, system = _conversation(body.messages)
    return seat, Job(
        seat.candidate, "", turns, system=system, generation=_generation(seat, body), stop=tuple(body.stops)
    )


async def grounded(desk: Desk, job: Job) -> Job:
    """Return the job with the help centre's passages for it, if its candidate is grounded."""
    if not job.candidate.retrieval:
        return job
    found = await desk.in_database(desk.librarian.sources_for, job.subject, job.turns, None)
    return replace(job, sources=grounding.as_prompt(found))


def _conversation(messages: list[Message]) -> tuple[tuple[Turn, ...], str | None]:
    system = [message.words for message in messages if message.role in {"system", "developer"}]
    turns = tuple(
        Turn("agent" if message.role == "assistant" else "customer", message.words)
        for message in messages
        if message.role in {"user", "assistant"}
    )
    if not turns or turns[-1].role != "customer":
        raise InvalidInput("The last message must be the user's.")
    return turns, "\n\n".join(system) if system else None


def _generation(seat: Seat, body: ChatCompletionRequest) -> Generation:
    own = seat.candidate.generation
    wanted = {
        "max_new_tokens": body.most_tokens,
        "temperature": body.temperature,
        "top_p": body.top_p,
        "seed": body.seed,
    }
    changes = {name: value for name, value in wanted.items() if value is not None}
    return own.model_copy(update=changes)


class Completion:
    """An answer in the making: a task of its own, so that whoever reads it may come and go.

    Closing the iterator of `items` ends the task, and with it the candidate's work.
    """

    def __init__(self, seat: Seat, job: Job) -> None:
        self._seat = seat
        self._job = job
        self._items: asyncio.Queue[str | Finished | Exception] = asyncio.Queue()
        self._task = asyncio.create_task(self._run())

    async def items(self) -> AsyncGenerator[str | Finished, None]:
        """Yield pieces that may be shown (no stop marker, nor the beginning of one), then how it ended."""
        try:
            while True:
                item = await self._items.get()
                if isinstance(item, Exception):
                    raise item
                yield item
                if isinstance(item, Finished):
                    return
        finally:
            self._task.cancel()

    async def _run(self) -> None:
        limit = self._seat.candidate.timeout_s
        try:
            async with asyncio.timeout(limit):
                with self._seat.at_work.one():
                    await self._write()
        except TimeoutError:
            words = f"No complete answer came within {limit:g} seconds."
            self._items.put_nowait(EngineFailure(words, reason="timeout"))
        except Exception as error:  # handed on to whoever reads
            self._items.put_nowait(error)

    async def _write(self) -> None:
        raw, shown, finished = "", "", Finished("stop")
        markers = self._job.markers
        async with aclosing(self._seat.engine.stream(self._job)) as pieces:
            async for piece in pieces:
                if isinstance(piece, Finished):
                    finished = piece
                    break
                raw += piece
                grown = streamable(raw, markers)
                if len(grown) > len(shown):
                    self._items.put_nowait(grown[len(shown) :])
                    shown = grown
                if clean_answer(raw, markers)[1]:
                    break
        text, _ = clean_answer(raw, markers)
        if len(text) > len(shown):
            self._items.put_nowait(text[len(shown) :])
        self._items.put_nowait(finished)


async def whole(seat: Seat, job: Job, is_gone: Callable[[], Awaitable[bool]]) -> tuple[str, Finished]:
    """Return the complete text and how it ended; stops the work when the client has gone."""
    reading = asyncio.create_task(_read(Completion(seat, job)))
    try:
        while not (await asyncio.wait({reading}, timeout=_LOOK_S))[0]:
            if await is_gone():
                break
    finally:
        if not reading.done():
            reading.cancel()
    return await reading


async def _read(completion: Completion) -> tuple[str, Finished]:
    text, finished = "", Finished("stop")
    async with aclosing(completion.items()) as items:
        async for item in items:
            if isinstance(item, Finished):
                finished = item
            else:
                text += item
    return text, finished
