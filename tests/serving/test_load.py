"""A burst: whatever is accepted is answered once, whatever is not is refused in a way that a client can act on."""

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
from sqlmodel import col, func, select

from db.models import Answer, Suggestion, Ticket
from db.session import session_scope
from tests.backend.conftest import make_settings, scripted, serving, wait_until

SUGGESTIONS, CLIENTS = 200, 32
ANSWER = "Hello {subject}, your money is on its way."
LINEUP = scripted(
    one=f'text = "{ANSWER}"\nchars_per_s = 400', two=f'text = "{ANSWER}"\nchars_per_s = 200\ndelay_s = 0.05'
)


def test_two_hundred_suggestions_by_thirty_two_clients(database_url: str, tmp_path: Path) -> None:
    settings = make_settings(database_url, tmp_path, LINEUP, max_waiting=24, lease_s=30.0)
    with serving(settings) as backend:
        resident = psutil.Process().memory_info().rss

        def ask(number: int) -> tuple[int, str | None, str | None]:
            with backend.client(f"Rater {number % CLIENTS}") as client:
                response = client.post("/api/suggestions", json={"subject": f"no {number}", "text": f"Ticket {number}"})
                id_ = response.json().get("id") if response.status_code == 202 else None
                time.sleep(0.05)
                return response.status_code, response.headers.get("retry-after"), id_

        with ThreadPoolExecutor(CLIENTS) as pool:
            outcomes = list(pool.map(ask, range(SUGGESTIONS)))
        accepted = {id_ for status, _, id_ in outcomes if status == 202}
        wait_until(lambda: backend.runner.unfinished == 0, 60)
        grown = psutil.Process().memory_info().rss - resident

        assert {status for status, _, _ in outcomes} == {202, 429}, "the burst must overrun the bound, and be told so"
        assert all(after and int(after) >= 1 for status, after, _ in outcomes if status == 429)
        with session_scope(backend.database) as session:
            stored = {str(id_) for id_ in session.exec(select(Suggestion.id))}
            tickets = session.exec(select(func.count()).select_from(Ticket)).one()
            answers = session.exec(select(Answer.suggestion_id, Answer.status, Answer.text)).all()
            subjects = dict(
                session.exec(
                    select(Suggestion.id, Ticket.subject).join(Ticket, col(Ticket.id) == col(Suggestion.ticket_id))
                ).all()
            )
        assert stored == accepted, "each accepted ticket is stored once, and no refused one is"
        assert tickets == len(accepted)
        assert set(Counter(id_ for id_, _, _ in answers).values()) == {2}
        assert {status for _, status, _ in answers} == {"done"}
        assert all(text == ANSWER.replace("{subject}", subjects[id_]) for id_, _, text in answers)
        assert grown < 200 * 2**20
        assert not backend.runner._live
