"""Cleaning on all cores: tickets go out in small batches, results come back in order, and only a few wait in memory."""

import multiprocessing
import os
import threading
from collections import Counter, deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from itertools import islice
from multiprocessing.process import BaseProcess
from typing import NamedTuple

from replybench.errors import Unavailable
from replybench.redaction import presidio
from training.dataset import Thread
from training.helpdesk.raw import RawTicket
from training.prepare import duplicates
from training.prepare.cleaning import Dropped, Settings, Tools, clean_ticket

#: Tickets per message between processes, and batches under way per worker: what memory is bounded by.
BATCH = 16
AHEAD = 3


class Result(NamedTuple):
    """What became of one ticket: a thread (its split and group still open) with its fingerprint, or a reason."""

    id: str
    thread: Thread | None
    reason: str | None
    fingerprint: duplicates.Fingerprint | None
    weight: tuple[int, ...]
    taken: Counter[str]


def clean_all(tickets: Iterable[RawTicket], settings: Settings, workers: int) -> Iterator[Result]:
    """Yield the result of every ticket, in the order of `tickets`.

    Args:
        tickets: read as far as the work has come, not all at once.
        settings: what cleaning needs to know.
        workers: processes; 1 means this one.

    Raises:
        Unavailable: a worker process was killed (out of memory, most likely).
    """
    if workers <= 1:
        tools = Tools.of(settings)
        for ticket in tickets:
            yield clean_one(ticket, tools)
        return
    source = iter(tickets)
    context = multiprocessing.get_context("spawn")  # a fork would copy locks that the name model's threads hold
    with ProcessPoolExecutor(workers, mp_context=context, initializer=_start, initargs=(settings,)) as pool:
        waiting: deque[Future[list[Result]]] = deque()
        try:
            while True:
                while len(waiting) < workers * AHEAD and (batch := list(islice(source, BATCH))):
                    waiting.append(pool.submit(_clean_batch, batch))
                if not waiting:
                    return
                yield from waiting.popleft().result()
        except BrokenProcessPool as error:
            raise Unavailable(
                "A worker process died, most likely for want of memory. Run again with --workers 1; the "
                "earlier output, if there was one, is as it was."
            ) from error
        finally:
            for future in waiting:
                future.cancel()


def clean_one(ticket: RawTicket, tools: Tools) -> Result:
    """Return the result of one ticket."""
    draft = clean_ticket(ticket, tools)
    if isinstance(draft, Dropped):
        return Result(ticket.id, None, draft.reason, None, (), Counter())
    question = "\n".join(turn.text for turn in draft.turns[:1])
    thread = Thread.model_validate(
        {
            "id": ticket.id,
            "subject": draft.subject,
            "turns": [{"role": turn.role, "text": turn.text} for turn in draft.turns],
            "outcome": draft.outcome.outcome,
            "outcome_rule": draft.outcome.rule,
            "language": draft.language,
            "category": ticket.category,
            "group": ticket.id,
            "split": "train",
        }
    )
    answers = sum(len(turn.text) for turn in draft.turns if turn.role == "agent")
    weight = (len(draft.turns), answers, draft.characters)
    return Result(ticket.id, thread, None, duplicates.fingerprint(question), weight, draft.taken)


_TOOLS: list[Tools] = []


def _end_with(parent: BaseProcess) -> None:
    """End this process when its parent is gone; one that was killed cannot say so, and the pipe does not tell."""
    parent.join()
    os._exit(1)


def _start(settings: Settings) -> None:
    if parent := multiprocessing.parent_process():
        threading.Thread(target=_end_with, args=(parent,), daemon=True).start()
    os.environ.setdefault("OMP_NUM_THREADS", "1")  # each worker has a core of its own
    os.environ["TOKENIZERS_PARALLELISM"] = "false"
    presidio.load_alone()
    _TOOLS[:] = [Tools.of(settings)]


def _clean_batch(tickets: list[RawTicket]) -> list[Result]:
    return [clean_one(ticket, _TOOLS[0]) for ticket in tickets]
