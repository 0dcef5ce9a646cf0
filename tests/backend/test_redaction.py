"""Personal data never reaches the database, whichever way it comes in."""

from collections.abc import Callable
from typing import Any

import pytest
from sqlalchemy import text as sql

from tests.backend.conftest import Backend, asked, finished, rate

SECRETS = ("Ana Reis", "Ana", "ana@reis.example", "+44 7700 900123")


@pytest.fixture
def private(serve: Callable[..., Any]) -> Any:
    return serve(redaction="auto", public_words=("Merripot",))


def everything_stored(backend: Backend) -> str:
    with backend.database.connect() as connection:
        return str(connection.execute(sql("SELECT ticket.*, rating.* FROM ticket, rating")).all())


def test_a_ticket_and_what_raters_write_are_stored_without_personal_data(private: Any) -> None:
    with private as backend, backend.client() as client:
        accepted = asked(
            client,
            subject="Ana Reis cannot sign in to Merripot",
            text="Hello, this is Ana Reis. Write to ana@reis.example or call +44 7700 900123.\nAna",
            earlier=[{"role": "agent", "text": "Hi Ana, which address do you use?"}],
        )
        ticket = finished(client, accepted["id"])["ticket"]
        assert ticket["subject"] == "{name} cannot sign in to Merripot"
        assert ticket["text"] == "Hello, this is {name}. Write to {email} or call {phone}.\n{name}"
        assert ticket["earlier"][0]["text"] == "Hi {name}, which address do you use?"
        assert ticket["language"] == "en"
        for answer in accepted["answers"]:
            stored = rate(client, answer["id"], comment="Tell ana@reis.example", corrected_text="Call +44 7700 900123.")
            assert stored.status_code == 200
            assert stored.json()["comment"] == "Tell {email}"
        rows = everything_stored(backend)
        assert not [secret for secret in SECRETS if secret in rows]


def test_what_was_replaced_is_counted_by_kind(private: Any) -> None:
    with private as backend, backend.client() as client:
        asked(client, text="I am ana@reis.example and also ana.reis@other.example")
        with backend.database.connect() as connection:
            assert connection.execute(sql("SELECT redactions FROM ticket")).scalar_one() == {"email": 2}


def test_without_redaction_the_log_says_so(serve: Callable[..., Any], capsys: pytest.CaptureFixture[str]) -> None:
    with serve(redaction="off"):
        assert "redaction_off" in capsys.readouterr().err
