"""Studies: which there are, and running them."""

from typing import Annotated

from fastapi import APIRouter, Depends, Path, Request

from backend.dependencies import DeskDep, LedSessionDep, SessionDep, SwitchDep
from backend.security.gate import CallerDep
from backend.security.permissions import ADMINISTER
from backend.services import queue, studies
from replybench.contract import StudyList, StudyPublic
from replybench.queue_contract import (
    QueueImport,
    QueueImported,
    QueueRetried,
    StudyChange,
    StudyCreate,
    StudyProgress,
)

router = APIRouter(prefix="/api/studies", tags=["studies"])
#: Imported studies may have any name.
NameDep = Annotated[str, Path(max_length=200, pattern=r"^[^\x00]+$")]


@router.get("")
def all_of_them(session: SessionDep) -> StudyList:
    """Return all collection periods, newest first."""
    return studies.public(session)


@router.post("", status_code=201)
def create(body: StudyCreate, desk: DeskDep, switch: SwitchDep, session: LedSessionDep) -> StudyPublic:
    """Make a study; it is a draft until it is opened."""
    return studies.create(session, body, desk.roster, switch.names())


async def _in_its_lineup(name: NameDep, body: StudyChange, desk: DeskDep, switch: SwitchDep, caller: CallerDep) -> None:
    """Change to the study's lineup before it is opened, if that was asked for: it may take minutes, so it comes
    before the session begins."""
    if body.switch_lineup and body.is_open:
        caller.require(ADMINISTER)
        wanted = await desk.in_database(studies.lineup_to_switch_to, name, desk.roster)
        if wanted is not None:
            await switch.use(wanted)


@router.patch("/{name}", dependencies=[Depends(_in_its_lineup)])
def change(name: NameDep, body: StudyChange, request: Request, session: LedSessionDep) -> StudyPublic:
    """Open or close a study, or change what is said about it."""
    return studies.change(session, name, body, request.app.state.desk.roster)


@router.post("/{name}/tickets")
def take_in(name: NameDep, body: QueueImport, desk: DeskDep, session: LedSessionDep) -> QueueImported:
    """Put tickets into the study's queue; those that it has already are not stored again."""
    return queue.take_in_tickets(session, desk.redactor, name, body)


@router.post("/{name}/retry")
def retry(name: NameDep, session: LedSessionDep) -> QueueRetried:
    """Try those tickets of the queue again that could not be answered."""
    return queue.retry(session, name)


@router.get("/{name}/progress")
def progress(name: NameDep, desk: DeskDep, session: SessionDep) -> StudyProgress:
    """Return how far the study's queue is, and what each rater has done."""
    return studies.progress(session, name, desk.roster)
