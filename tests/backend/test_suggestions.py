"""Ask, stream, cancel, ask again."""

import threading
import time
from collections.abc import Callable
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.backend.conftest import Backend, asked, finished, rate, scripted, streamed, wait_until
from tests.backend.events import read_events, texts

SLOW = 'text = "Slow words that go on and on and on."\nchars_per_s = 20'


def test_a_ticket_is_answered_by_every_candidate(olena: httpx.Client) -> None:
    accepted = asked(olena, subject="Password", source="zoho_desk", external_id="4711")
    assert [answer["slot"] for answer in accepted["answers"]] == ["A", "B", "C"]
    assert {answer["status"] for answer in accepted["answers"]} == {"waiting"}
    done = finished(olena, accepted["id"])
    assert {answer["status"] for answer in done["answers"]} == {"done"}
    assert {answer["text"] for answer in done["answers"]} == {
        "Quick words for you.",
        "Steady words, one after another.",
        "Late words.",
    }
    assert done["ticket"]["subject"] == "Password"
    assert done["ticket"]["source"] == "zoho_desk"
    assert done["ticket"]["external_id"] == "4711"


def test_the_stream_tells_everything_once_and_ends(olena: httpx.Client) -> None:
    accepted = asked(olena)
    events = streamed(olena, accepted["id"])
    assert events[-1].name == "done"
    assert [event.name for event in events].count("done") == 1
    ended = {event.data["answer"]["id"]: event.data["answer"] for event in events if event.name == "answer.done"}
    assert set(ended) == {answer["id"] for answer in accepted["answers"]}
    assert texts(events) == {key: answer["text"] for key, answer in ended.items()}


def test_a_late_watcher_gets_what_exists_first(serve: Callable[..., Any]) -> None:
    with serve(scripted(slow=SLOW, other=SLOW)) as backend, backend.client() as client:
        accepted = asked(client)
        wait_until(
            lambda: all(a["text"] for a in client.get(f"/api/suggestions/{accepted['id']}").json()["answers"]), 10
        )
        events = streamed(client, accepted["id"])
        assert texts(events).values() and set(texts(events).values()) == {"Slow words that go on and on and on."}


def test_a_finished_suggestion_can_be_streamed_again(olena: httpx.Client) -> None:
    accepted = asked(olena)
    first, again = streamed(olena, accepted["id"]), streamed(olena, accepted["id"])
    assert texts(first) == texts(again)
    assert again[-1].name == "done"


def test_offsets_hold_at_a_thousand_pieces_a_second(serve: Callable[..., Any]) -> None:
    text = "".join(f"Пункт {number}: ok 👍. " for number in range(150)).strip()
    fast = f'text = "{text}"\nchars_per_s = 1000\npiece = 1\ndelay_s = 1.0'  # the watcher is there first
    with serve(scripted(one=fast, two=fast, three=fast)) as backend, backend.client() as client:
        events = streamed(client, asked(client)["id"])
        assert set(texts(events).values()) == {text}
        assert sum(event.name == "answer.delta" for event in events) > 100


def test_a_failing_and_a_hanging_candidate_take_nobody_down(serve: Callable[..., Any]) -> None:
    lineup = scripted(
        good='text = "All is well."',
        broken='text = "Half an answer"\nfail_after = 6\nerror = "It broke."',
        hanging='text = "Never ends"\nhang_after = 4',
    ).replace("timeout_s = 20\nscript = '''\ntext = \"Never", "timeout_s = 0.6\nscript = '''\ntext = \"Never")
    with serve(lineup) as backend, backend.client() as client:
        events = streamed(client, asked(client)["id"])
        failed = [event.data["answer"] for event in events if event.name == "answer.failed"]
        done = [event.data["answer"] for event in events if event.name == "answer.done"]
        assert [answer["text"] for answer in done] == ["All is well."]
        assert {answer["error"]["code"] for answer in failed} == {"scripted", "timeout"}
        assert {answer["text"] for answer in failed} == {"Half an", "Neve"}
        assert "0.6 seconds" in next(a["error"]["message"] for a in failed if a["error"]["code"] == "timeout")


@pytest.mark.parametrize("text", ["", "   \\n ", "\\n### Question: and then?"])
def test_an_empty_answer_is_a_failure_with_its_own_sentence(serve: Callable[..., Any], text: str) -> None:
    with serve(scripted(mute=f'text = "{text}"')) as backend, backend.client() as client:
        answer = finished(client, asked(client)["id"])["answers"][0]
        assert answer["status"] == "failed"
        assert answer["error"]["code"] == "empty"
        assert "wrote nothing" in answer["error"]["message"]


def test_what_no_database_holds_is_left_out_of_an_answer(serve: Callable[..., Any]) -> None:
    script = r'text = "Press\u0000 Forgot password.\u0000"'
    with serve(scripted(one=script)) as backend, backend.client() as client:
        (answer,) = finished(client, asked(client)["id"])["answers"]
    assert (answer["status"], answer["text"]) == ("done", "Press Forgot password.")


def test_no_part_of_a_stop_marker_is_ever_streamed(serve: Callable[..., Any]) -> None:
    text = "Do this.\\nThen # that.\\n### Question: may I go on?"
    with serve(scripted(one=f'text = "{text}"\npiece = 1\nchars_per_s = 4000')) as backend, backend.client() as client:
        events = streamed(client, asked(client)["id"])
        assert list(texts(events).values()) == ["Do this.\nThen # that."]
        written = ""
        for event in events:
            if event.name == "answer.delta":
                written += event.data["text"]
                assert "Do this.\nThen # that.".startswith(written)


def test_cancel_ends_at_once_and_keeps_what_is_done(serve: Callable[..., Any]) -> None:
    lineup = scripted(quick='text = "Done."\nchars_per_s = 9999', slow=SLOW)
    with serve(lineup) as backend, backend.client() as client:
        accepted = asked(client)
        wait_until(lambda: "done" in _statuses(client, accepted["id"]), 10)
        began = time.monotonic()
        cancelled = client.delete(f"/api/suggestions/{accepted['id']}").json()
        assert time.monotonic() - began < 1
        assert sorted(answer["status"] for answer in cancelled["answers"]) == ["cancelled", "done"]
        assert backend.runner.unfinished == 0
        time.sleep(0.3)
        assert sorted(_statuses(client, accepted["id"])) == ["cancelled", "done"]


def test_a_watching_stream_hears_of_a_cancellation(serve: Callable[..., Any]) -> None:
    with serve(scripted(slow=SLOW)) as backend, backend.client() as client:
        accepted = asked(client)
        heard: list[str] = []

        def watch() -> None:
            with backend.client("Marek") as other:
                heard.extend(event.name for event in streamed(other, accepted["id"]))

        watcher = threading.Thread(target=watch)
        watcher.start()
        wait_until(lambda: backend.runner.live_watchers == 1, 5)
        client.delete(f"/api/suggestions/{accepted['id']}")
        watcher.join(5)
        assert heard[-2:] == ["answer.failed", "done"]


def test_a_failed_answer_can_be_asked_for_again(serve: Callable[..., Any]) -> None:
    flaky = 'text = "Now it works."\nfail_after = 3\nfail_times = 1'
    with serve(scripted(good='text = "Good."', flaky=flaky)) as backend, backend.client() as client:
        accepted = asked(client)
        before = finished(client, accepted["id"])
        broken = next(answer for answer in before["answers"] if answer["status"] == "failed")
        response = client.post(f"/api/answers/{broken['id']}/retry")
        assert response.status_code == 202
        after = finished(client, accepted["id"])
        fresh = next(answer for answer in after["answers"] if answer["slot"] == broken["slot"])
        assert (fresh["status"], fresh["text"]) == ("done", "Now it works.")
        assert fresh["id"] != broken["id"]
        assert client.post(f"/api/answers/{broken['id']}/retry").status_code == 409
        assert client.post(f"/api/answers/{fresh['id']}/retry").status_code == 409


def test_an_abandoned_suggestion_is_cancelled_and_a_reload_is_not(serve: Callable[..., Any]) -> None:
    slow = 'text = "' + "word " * 60 + '"\nchars_per_s = 60'
    with serve(scripted(slow=slow), abandon_after_s=1.0) as backend, backend.client() as client:
        reloaded, left = asked(client), asked(client)
        for _ in range(2):
            for suggestion in (reloaded, left):
                with client.stream("GET", f"/api/suggestions/{suggestion['id']}/events") as response:
                    next(read_events(response))
        wait_until(lambda: _watch_briefly(client, reloaded["id"]) and "cancelled" in _quietly(backend, left["id"]), 15)
        assert "cancelled" not in _quietly(backend, reloaded["id"])


def test_who_watches_through_another_backend_is_watching(serve: Callable[..., Any]) -> None:
    slow = 'text = "' + "word " * 60 + '"\nchars_per_s = 60'
    with (
        serve(scripted(slow=slow), abandon_after_s=1.0) as writing,
        serve(scripted(slow=slow), abandon_after_s=1.0) as other,
        writing.client() as client,
        other.client() as elsewhere,
    ):
        watched, left = asked(client), asked(client)
        for suggestion in (watched, left):
            _watch_briefly(client, suggestion["id"])
        events = streamed(elsewhere, watched["id"])
        assert [event.name for event in events][-2:] == ["answer.done", "done"]
        assert _quietly(writing, left["id"]) == ["cancelled"]


def test_nobody_ever_watching_is_not_abandoning(serve: Callable[..., Any]) -> None:
    slow = 'text = "' + "word " * 10 + '"\nchars_per_s = 25'
    with serve(scripted(slow=slow), abandon_after_s=0.2) as backend, backend.client() as client:
        accepted = asked(client)
        wait_until(lambda: backend.runner.unfinished == 0, 20)
        assert _statuses(client, accepted["id"]) == ["done"]


def test_a_full_house_refuses_and_stores_nothing(serve: Callable[..., Any]) -> None:
    with serve(scripted(slow=SLOW), max_waiting=2) as backend, backend.client() as client:
        asked(client), asked(client)
        response = client.post("/api/suggestions", json={"text": "one too many"})
        assert response.status_code == 429
        assert int(response.headers["Retry-After"]) > 0
        assert len(client.get("/api/suggestions").json()["suggestions"]) == 2


def test_only_named_candidates_answer(olena: httpx.Client) -> None:
    assert len(asked(olena, candidates=["quick"])["answers"]) == 1
    assert olena.post("/api/suggestions", json={"text": "x", "candidates": ["nobody"]}).status_code == 422
    assert olena.post("/api/suggestions", json={"text": "x", "candidates": []}).status_code == 422


def test_own_suggestions_newest_first(olena: httpx.Client, marek: httpx.Client) -> None:
    first, second = asked(olena, "first"), asked(olena, "second")
    finished(olena, second["id"])
    finished(olena, first["id"])
    listed = olena.get("/api/suggestions").json()["suggestions"]
    assert [row["opening"] for row in listed] == ["second", "first"]
    assert [(row["answers"], row["done"], row["rated"]) for row in listed] == [(3, 3, 0)] * 2
    assert marek.get("/api/suggestions").json()["suggestions"] == []
    marek.get(f"/api/suggestions/{first['id']}")
    assert [row["id"] for row in marek.get("/api/suggestions").json()["suggestions"]] == [first["id"]]


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_an_unknown_suggestion_is_404(olena: httpx.Client, method: str) -> None:
    assert olena.request(method, f"/api/suggestions/{uuid4()}").status_code == 404
    assert olena.get(f"/api/suggestions/{uuid4()}/events").status_code == 404


@pytest.mark.parametrize(
    "body", [{"text": ""}, {"text": "  \n"}, {"text": "a\u0000b"}, {"text": "x", "textt": "y"}, {}]
)
def test_unusable_tickets_are_refused(olena: httpx.Client, body: dict[str, str]) -> None:
    assert olena.post("/api/suggestions", json=body).status_code == 422


def _statuses(client: httpx.Client, suggestion_id: str) -> list[str]:
    return [answer["status"] for answer in client.get(f"/api/suggestions/{suggestion_id}").json()["answers"]]


def _watch_briefly(client: httpx.Client, suggestion_id: str) -> bool:
    with client.stream("GET", f"/api/suggestions/{suggestion_id}/events") as response:
        next(read_events(response))
    return True


def _quietly(backend: Backend, suggestion_id: str) -> list[str]:
    """Look into the database, not through the API: looking through the API counts as watching."""
    from uuid import UUID

    from sqlmodel import Session

    from db import queries

    with Session(backend.database) as session:
        return [row.status for row in queries.progress(session, UUID(suggestion_id))]


def test_a_ticket_asked_again_keeps_its_earlier_answers(olena: httpx.Client) -> None:
    first = finished(olena, asked(olena, "Asked twice.")["id"])
    for answer in first["answers"]:
        rate(olena, answer["id"])
    response = olena.post(f"/api/suggestions/{first['id']}/again")
    assert response.status_code == 202
    second = finished(olena, response.json()["id"])
    assert second["id"] != first["id"]
    assert second["ticket"] == first["ticket"], "the same ticket, not a copy"
    assert not second["is_revealed"]
    assert {answer["rating"] for answer in second["answers"]} == {None}
    told = olena.get(f"/api/suggestions/{second['id']}/askings").json()["askings"]
    assert [(one["suggestion_id"], one["done"], one["rated"]) for one in told] == [
        (second["id"], 3, 0),
        (first["id"], 3, 3),
    ]
    again = olena.get(f"/api/suggestions/{first['id']}").json()
    assert [answer["text"] for answer in again["answers"]] == [answer["text"] for answer in first["answers"]]


def test_only_a_ticket_that_is_there_is_asked_again(olena: httpx.Client) -> None:
    assert olena.post(f"/api/suggestions/{uuid4()}/again").status_code == 404
    assert olena.get(f"/api/suggestions/{uuid4()}/askings").status_code == 404
