"""Any OpenAI client can use the candidates: checked with OpenAI's own."""

import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import httpx
import openai
import pytest

from replybench.lineups import MOST_TOKENS
from replybench.openai_contract import ChatCompletionRequest
from tests.backend.conftest import API_KEY, Backend, scripted, wait_until

HELLO: Any = [{"role": "user", "content": "Hello"}]


@pytest.fixture
def client(backend: Backend) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{backend.url}/v1", api_key=API_KEY, max_retries=0) as made:
        yield made


def test_models_are_the_candidates(client: openai.OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["quick", "steady", "late"]


def test_a_whole_answer(client: openai.OpenAI) -> None:
    answer = client.chat.completions.create(model="steady", messages=HELLO)
    assert answer.choices[0].message.content == "Steady words, one after another."
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None and answer.usage.total_tokens == 6


def test_a_stream(client: openai.OpenAI) -> None:
    stream = client.chat.completions.create(
        model="steady", messages=HELLO, stream=True, stream_options={"include_usage": True}
    )
    chunks = list(stream)
    pieces = [chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices]
    assert "".join(pieces) == "Steady words, one after another." and len([p for p in pieces if p]) > 3
    assert [chunk.choices[0].finish_reason for chunk in chunks if chunk.choices][-1] == "stop"
    assert chunks[-1].usage is not None and chunks[-1].usage.completion_tokens == 5
    assert len({chunk.id for chunk in chunks}) == 1


def test_stop_texts_are_honoured_and_never_leak(client: openai.OpenAI) -> None:
    whole = client.chat.completions.create(model="steady", messages=HELLO, stop=[", one"])
    assert whole.choices[0].message.content == "Steady words"
    stream = client.chat.completions.create(model="steady", messages=HELLO, stop=", one", stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream) == "Steady words"


def test_parts_and_system_messages_are_understood(client: openai.OpenAI) -> None:
    messages: Any = [
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": [{"type": "text", "text": "Hel"}, {"type": "text", "text": "lo"}]},
        {"role": "assistant", "content": "Hi!"},
        {"role": "user", "content": "And now?"},
    ]
    assert client.chat.completions.create(model="quick", messages=messages).choices[0].message.content


#: What lm-eval 0.4.13 (`local-chat-completions`) and promptfoo 0.123.1 sent, and what other settings make them send.
SENT = {
    "lm-eval": {
        "messages": [{"role": "user", "content": "I forgot my password."}],
        "model": "steady", "max_tokens": 64, "temperature": 0.0, "stop": ["\n\n"], "seed": 1234,
    },
    "lm-eval, a task of long answers": {
        "messages": [{"role": "system", "content": "Be brief."}, {"role": "user", "content": "Hello", "type": "text"}],
        "model": "steady", "max_tokens": 32768, "temperature": 0.0, "stop": [], "seed": 1234, "top_p": 0.95,
    },
    "promptfoo": {
        "model": "steady", "messages": [{"role": "user", "content": "I forgot my password."}],
        "max_tokens": 1024, "temperature": 0,
    },
    "promptfoo, with more of its settings": {
        "model": "steady", "messages": [{"role": "user", "content": "Hello"}], "max_completion_tokens": 160,
        "temperature": 0, "seed": 7, "top_p": 1, "presence_penalty": 0, "frequency_penalty": 0, "stop": [""],
        "logprobs": False, "user": "somebody", "metadata": {"run": "1"}, "store": False,
    },
}  # fmt: skip


@pytest.mark.parametrize("body", SENT.values(), ids=SENT.keys())
def test_what_harnesses_send_is_answered(backend: Backend, body: dict[str, Any]) -> None:
    response = httpx.post(
        f"{backend.url}/v1/chat/completions", json=body, headers={"Authorization": f"Bearer {API_KEY}"}
    )
    assert response.status_code == 200, response.text
    [choice] = response.json()["choices"]
    assert (choice["index"], choice["message"]["content"]) == (0, "Steady words, one after another.")
    assert response.json()["usage"]["completion_tokens"] == 5


def test_no_answer_is_longer_than_a_candidate_may_write() -> None:
    asked = ChatCompletionRequest(model="quick", messages=HELLO, max_tokens=32768)
    assert asked.most_tokens == MOST_TOKENS
    assert ChatCompletionRequest(model="quick", messages=HELLO, max_completion_tokens=7, max_tokens=9).most_tokens == 7
    assert ChatCompletionRequest(model="quick", messages=HELLO).most_tokens is None


@pytest.mark.parametrize(
    ("changes", "error"),
    [
        ({"model": "nobody"}, openai.NotFoundError),
        ({"messages": [{"role": "assistant", "content": "Hi"}]}, openai.BadRequestError),
        ({"messages": []}, openai.BadRequestError),
        ({"temperature": 9}, openai.BadRequestError),
        ({"n": 2}, openai.BadRequestError),
    ],
)
def test_errors_have_openais_form(client: openai.OpenAI, changes: Any, error: type[openai.APIStatusError]) -> None:
    with pytest.raises(error) as caught:
        client.chat.completions.create(**{"model": "quick", "messages": HELLO, **changes})
    assert isinstance(caught.value.body, dict) and {"message", "type", "code", "param"} <= set(caught.value.body)


def test_a_wrong_key_is_refused_in_openais_form(backend: Backend) -> None:
    with pytest.raises(openai.AuthenticationError):
        openai.OpenAI(base_url=f"{backend.url}/v1", api_key="wrong", max_retries=0).models.list()


def test_failures_are_told_before_and_within_a_stream(serve: Callable[..., Any]) -> None:
    early, late = 'text = "x"\nfail_after = 0', 'text = "Half an answer"\nfail_after = 8\nerror = "It broke."'
    with serve(scripted(early=early, late=late)) as backend:
        client = openai.OpenAI(base_url=f"{backend.url}/v1", api_key=API_KEY, max_retries=0)
        with pytest.raises(openai.APIStatusError) as caught:
            client.chat.completions.create(model="early", messages=HELLO, stream=True)
        assert caught.value.status_code == 502
        with pytest.raises(openai.APIError, match="It broke"):
            list(client.chat.completions.create(model="late", messages=HELLO, stream=True))


@pytest.mark.parametrize("stream", [True, False])
def test_a_client_that_goes_stops_the_work(serve: Callable[..., Any], stream: bool) -> None:
    with serve(scripted(slow='text = "' + "word " * 400 + '"\nchars_per_s = 100')) as backend:
        engine = backend.app.state.desk.roster.seats[0].engine
        ended: list[float] = []
        own = engine.stream

        async def watched(job: Any) -> Any:
            try:
                async for piece in own(job):
                    yield piece
            finally:
                ended.append(time.monotonic())

        engine.stream = watched
        _ask_and_leave(backend, stream=stream)
        wait_until(lambda: ended, 5)


def _ask_and_leave(backend: Backend, *, stream: bool) -> None:
    """Send a request, wait until the work has begun, and hang up."""
    body = {"model": "slow", "messages": HELLO, "stream": stream}
    headers = {"Authorization": f"Bearer {API_KEY}"}
    with (
        httpx.Client(timeout=httpx.Timeout(5, read=1.0)) as client,
        suppress(httpx.ReadTimeout),
        client.stream("POST", f"{backend.url}/v1/chat/completions", json=body, headers=headers) as response,
    ):
        next(response.iter_bytes())
