"""The remote engine against a real server that speaks the protocol, and one that breaks it."""

import asyncio
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI

from backend.engines.base import EngineFailure, Finished, Job
from backend.engines.openai_engine import OpenAIEngine
from replybench.errors import ConfigError
from replybench.lineups import Candidate, Generation
from replybench.prompts import PromptFormat, Turn
from tests.backend.conftest import asked, finished, streamed
from tests.backend.provider import ANSWER, provider

KEY = "a-provider-key-that-nobody-may-see"


@pytest.fixture(scope="module")
def server() -> Iterator[tuple[str, FastAPI]]:
    """The provider's address and application."""
    app = provider()
    running = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical", timeout_graceful_shutdown=1))
    thread = threading.Thread(target=running.run, daemon=True)
    thread.start()
    while not running.started:
        time.sleep(0.01)
    yield f"http://127.0.0.1:{running.servers[0].sockets[0].getsockname()[1]}/v1", app
    running.should_exit = True
    thread.join(10)


def candidate(model: str, **others: Any) -> Candidate:
    values: dict[str, Any] = {"prompt": PromptFormat.CHAT, "timeout_s": 5.0, **others}
    return Candidate(key="general", name=f"Provider {model}", engine="openai", model=model, **values)


async def asked_of(
    url: str, wanted: Candidate, text: str = "Where is my refund?", **others: Any
) -> tuple[str, Finished]:
    engine = OpenAIEngine([wanted], url, KEY)
    await engine.start()
    written = ""
    try:
        async for item in engine.stream(Job(wanted, "Refund", (Turn("customer", text),), **others)):
            if isinstance(item, Finished):
                return written, item
            written += item
    finally:
        await engine.close()
    raise AssertionError("no end was told")


async def test_it_streams_and_counts(server: tuple[str, FastAPI]) -> None:
    text, end = await asked_of(server[0], candidate("good"))
    assert text == "".join(ANSWER)
    assert end == Finished("stop", 21, 9, ())


async def test_what_is_sent(server: tuple[str, FastAPI]) -> None:
    settings = Generation(max_new_tokens=77, temperature=0.5, top_p=0.9, seed=3, repetition_penalty=1.2)
    await asked_of(server[0], candidate("good", generation=settings, system="Be kind."), stop=("END",))
    path, body, headers = server[1].state.seen[-1]
    assert path == "/v1/chat/completions"
    assert headers["authorization"] == f"Bearer {KEY}"
    assert body["messages"] == [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Subject: Refund\n\nWhere is my refund?"},
    ]
    expected = {
        "max_tokens": 77,
        "temperature": 0.5,
        "top_p": 0.9,
        "seed": 3,
        "repetition_penalty": 1.2,
        "stop": ["END"],
    }
    assert {key: body[key] for key in expected} == expected


async def test_a_study_candidate_gets_the_prompt_it_was_trained_on(server: tuple[str, FastAPI]) -> None:
    text, _ = await asked_of(server[0], candidate("good", prompt=PromptFormat.STUDY))
    path, body, _ = server[1].state.seen[-1]
    assert path == "/v1/completions"
    assert body["prompt"] == "### Subject: Refund\n### Question: Where is my refund?\n### Answer:"
    assert body["stop"] == ["\n###"]
    assert text == "".join(ANSWER)


async def test_the_limit_is_told(server: tuple[str, FastAPI]) -> None:
    assert (await asked_of(server[0], candidate("long")))[1].cut == ("output",)
    _, end = await asked_of(server[0], candidate("good", max_prompt_tokens=80), "word " * 2000)
    assert end.cut == ("prompt",)
    assert sum(len(message["content"]) for message in server[1].state.seen[-1][1]["messages"]) <= 240


@pytest.mark.parametrize(
    ("model", "reason", "words"),
    [
        ("refuses", "refused", "Incorrect API key provided"),
        ("retired", "provider_error", "The model `retired` has been deprecated"),
        ("busy", "rate_limited", "Rate limit reached. Ask again in 17 s."),
        ("broken-page", "provider_error", "502"),
        ("breaks", "broken_stream", "broke in the middle"),
        ("ends-early", "broken_stream", "broke in the middle"),
        ("tells-an-error", "provider_error", "The engine died."),
        ("filtered", "content_filter", "content filter"),
        ("silent", "timeout", "did not answer in time"),
    ],
)
async def test_each_failure_has_its_sentence(server: tuple[str, FastAPI], model: str, reason: str, words: str) -> None:
    with pytest.raises(EngineFailure) as caught:
        await asked_of(server[0], candidate(model, timeout_s=0.5 if model == "silent" else 5.0))
    assert caught.value.reason == reason
    assert words in caught.value.message
    assert KEY not in caught.value.message and "sk-abc" not in caught.value.message
    assert caught.value.retry_after_s == (17 if model == "busy" else None)


async def test_the_customers_words_are_not_repeated(server: tuple[str, FastAPI]) -> None:
    with pytest.raises(EngineFailure) as caught:
        await asked_of(server[0], candidate("echoes"), "My secret account number is 12345.")
    assert "12345" not in caught.value.message


async def test_nobody_at_the_address() -> None:
    with pytest.raises(EngineFailure, match="cannot be reached"):
        await asked_of("http://127.0.0.1:9/v1", candidate("good"))


async def test_cancelling_closes_the_connection(server: tuple[str, FastAPI]) -> None:
    before = server[1].state.cut_off
    engine = OpenAIEngine([candidate("slow")], server[0], KEY)
    await engine.start()
    stream = engine.stream(Job(candidate("slow"), "", (Turn("customer", "Hi"),)))
    assert await anext(stream) == "Hello"
    await stream.aclose()
    for _ in range(100):
        if server[1].state.cut_off > before:
            break
        await asyncio.sleep(0.02)
    assert server[1].state.cut_off == before + 1
    await engine.close()


async def test_openai_itself_needs_a_key() -> None:
    with pytest.raises(ConfigError, match="OPENAI_API_KEY"):
        await OpenAIEngine([candidate("good")], None, None).start()


LINEUP = """
name = "mixed"
title = "Mixed"
[[candidates]]
key = "own"
name = "Own"
engine = "scripted"
script = 'text = "Ours."'
[[candidates]]
key = "general"
name = "OpenAI {model}"
engine = "openai"
model = "$OPENAI_MODEL"
prompt = "chat"
needs = "openai_api_key"
[candidates.otherwise]
key = "base"
name = "Stand-in"
engine = "scripted"
script = 'text = "Standing in."'
"""


@pytest.mark.parametrize("model", ["good", "retired", "refuses", "breaks"])
def test_the_configured_model_takes_its_column(
    serve: Callable[..., Any], server: tuple[str, FastAPI], model: str
) -> None:
    with (
        serve(LINEUP, openai_api_key=KEY, openai_base_url=server[0], openai_model=model) as backend,
        backend.client() as client,
    ):
        assert [card["name"] for card in client.get("/api/lineup").json()["candidates"]] == ["Own", f"OpenAI {model}"]
        accepted = asked(client)
        assert streamed(client, accepted["id"])[-1].name == "done"
        answers = finished(client, accepted["id"])["answers"]
        assert "Ours." in [answer["text"] for answer in answers if answer["status"] == "done"]
        other = next(answer for answer in answers if answer["text"] != "Ours.")
        assert other["status"] == ("done" if model == "good" else "failed")
        if model == "retired":
            assert "has been deprecated" in other["error"]["message"]
            assert "retired" not in other["error"]["message"]


def test_without_a_key_the_stand_in_answers_under_its_own_name(serve: Callable[..., Any]) -> None:
    with serve(LINEUP) as backend, backend.client() as client:
        assert [card["name"] for card in client.get("/api/lineup").json()["candidates"]] == ["Own", "Stand-in"]
        texts = {answer["text"] for answer in finished(client, asked(client)["id"])["answers"]}
        assert texts == {"Ours.", "Standing in."}


def test_openais_key_goes_to_openai_alone(serve: Callable[..., Any], server: tuple[str, FastAPI]) -> None:
    lineup = (
        'name = "x"\ntitle = "X"\n[[candidates]]\nkey = "vllm"\nname = "vLLM"\nengine = "openai"\nmodel = "good"\n'
        f'prompt = "chat"\nbase_url = "{server[0]}"\n'
    )
    for keys, expected in [({}, "Bearer none"), ({"remote_api_keys": {server[0]: "own-key"}}, "Bearer own-key")]:
        with serve(lineup, openai_api_key=KEY, **keys) as backend, backend.client() as client:
            finished(client, asked(client)["id"])
        assert server[1].state.seen[-1][2]["authorization"] == expected
