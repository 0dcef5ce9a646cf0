"""The raters' side of the queue."""

from fastapi import APIRouter

from backend.dependencies import RaterDep, SessionDep
from backend.services import queue
from replybench.queue_contract import QueueNext, QueueNextWrite, QueuePublic

router = APIRouter(prefix="/api/queue", tags=["queue"])


@router.get("")
def own(session: SessionDep, rater: RaterDep) -> QueuePublic:
    """Return how many tickets wait for the caller's ratings."""
    return queue.own(session, rater.id)


@router.post("/next")
def hand_out(body: QueueNextWrite, session: SessionDep, rater: RaterDep) -> QueueNext:
    """Give the caller the next ticket; before it is rated or skipped, that is the same one."""
    return queue.hand_out(session, rater.id, body.study)
