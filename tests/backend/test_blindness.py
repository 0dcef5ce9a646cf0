"""Nobody learns who wrote an answer before they have judged all of them; the order is theirs and stays."""

import json
from collections.abc import Callable
from typing import Any
from uuid import UUID

import httpx
import pytest
from sqlmodel import Session, select

from backend.services.views import nameless
from db.models import Candidate, Presentation, Rating
from tests.backend.conftest import Backend, asked, finished, rate, scripted, streamed


def test_nothing_names_a_candidate_before_all_are_rated(olena: httpx.Client) -> None:
    accepted = asked(olena)
    events = json.dumps([event.data for event in streamed(olena, accepted["id"])])
    seen = finished(olena, accepted["id"])
    told = [json.dumps(accepted), events, json.dumps(seen)]
    for answer in seen["answers"][:-1]:
        told.append(rate(olena, answer["id"]).text)
        told.append(olena.get(f"/api/suggestions/{accepted['id']}").text)
    for text in told:
        assert "Model" not in text
        assert "scripted" not in text.replace('"study": "scripted"', "").replace('"study":"scripted"', "")
    rate(olena, seen["answers"][-1]["id"])
    revealed = olena.get(f"/api/suggestions/{accepted['id']}").json()
    assert revealed["is_revealed"]
    names = {answer["text"].split()[0]: answer["candidate"]["name"] for answer in revealed["answers"]}
    assert names == {"Quick": "Quick Model", "Steady": "Steady Model", "Late": "Late Model"}


def test_one_persons_ratings_reveal_nothing_to_another(olena: httpx.Client, marek: httpx.Client) -> None:
    accepted = asked(olena)
    for answer in finished(olena, accepted["id"])["answers"]:
        rate(olena, answer["id"])
    seen = marek.get(f"/api/suggestions/{accepted['id']}").json()
    assert not seen["is_revealed"]
    assert {answer["candidate"] for answer in seen["answers"]} == {None}
    assert {answer["rating"] for answer in seen["answers"]} == {None}


def test_the_order_stays_is_stored_and_differs_between_people(backend: Backend, olena: httpx.Client) -> None:
    accepted = asked(olena)
    finished(olena, accepted["id"])
    order = [answer["id"] for answer in olena.get(f"/api/suggestions/{accepted['id']}").json()["answers"]]
    assert order == [answer["id"] for answer in accepted["answers"]]
    orders = set()
    for number in range(24):
        with backend.client(f"Person {number}") as other:
            answers = other.get(f"/api/suggestions/{accepted['id']}").json()["answers"]
            orders.add(tuple(answer["id"] for answer in answers))
    assert len(orders) >= 4  # of six; fewer by chance once in some thousand million runs
    rate(olena, order[1])
    with Session(backend.database) as session:
        rating = session.exec(select(Rating).where(Rating.answer_id == UUID(order[1]))).one()
        shown = session.exec(
            select(Presentation).where(
                Presentation.suggestion_id == UUID(accepted["id"]), Presentation.rater_id == rating.rater_id
            )
        ).one()
    assert rating.slot == "B"
    assert len(shown.candidate_ids) == 3


def test_a_failure_does_not_name_its_candidate(serve: Callable[..., Any]) -> None:
    error = "OpenAI says: Broken Model is gone, see https://provider.example/broken"
    lineup = scripted(good='text = "Good."', broken=f'text = "x"\nfail_after = 0\nerror = "{error}"')
    with serve(lineup) as backend, backend.client() as client:
        accepted = asked(client)
        answers = finished(client, accepted["id"])["answers"]
        failed = next(answer for answer in answers if answer["status"] == "failed")
        assert failed["error"]["message"] == "the provider says: this model is gone, see …"
        rate(client, next(answer["id"] for answer in answers if answer["status"] == "done"))
        after = client.get(f"/api/suggestions/{accepted['id']}").json()
        assert after["is_revealed"]
        shown = next(answer for answer in after["answers"] if answer["status"] == "failed")
        assert shown["error"]["message"] == error


def test_after_the_names_are_known_nothing_new_can_be_asked_for(serve: Callable[..., Any]) -> None:
    lineup = scripted(good='text = "Good."', broken='text = "x"\nfail_after = 0')
    with serve(lineup) as backend, backend.client() as client:
        accepted = asked(client)
        answers = finished(client, accepted["id"])["answers"]
        failed = next(answer for answer in answers if answer["status"] == "failed")
        rate(client, next(answer["id"] for answer in answers if answer["status"] == "done"))
        response = client.post(f"/api/answers/{failed['id']}/retry")
        assert response.status_code == 409
        assert "blind" in response.json()["message"]


def test_when_all_failed_nothing_is_revealed(serve: Callable[..., Any]) -> None:
    with serve(scripted(broken='text = "x"\nfail_after = 0')) as backend, backend.client() as client:
        seen = finished(client, asked(client)["id"])
        assert seen["is_complete"] and not seen["is_revealed"]


@pytest.mark.parametrize(
    ("message", "shown"),
    [
        ("The model `gpt-3.5-turbo` has been deprecated.", "The model `this model` has been deprecated."),
        ("OpenAI's limit is reached.", "the provider's limit is reached."),
        ("GPT-3.5-TURBO: no", "this model: no"),
        ("No complete answer came within 30 seconds.", "No complete answer came within 30 seconds."),
    ],
)
def test_names_are_taken_out_of_errors(message: str, shown: str) -> None:
    candidate = Candidate(
        fingerprint="x", key="general", name="OpenAI gpt-3.5-turbo", engine="openai", base="gpt-3.5-turbo",
        settings={"model": "gpt-3.5-turbo"},
    )  # fmt: skip
    assert nameless(message, candidate).replace("the provider limit", "the provider's limit") == shown
