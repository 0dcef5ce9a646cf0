"""Reads server-sent events by the letter of their specification, apart from any client of ours."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx


@dataclass(frozen=True)
class Event:
    name: str
    data: Any


def read_events(response: httpx.Response) -> Iterator[Event]:
    name = "message"
    data: list[str] = []
    for line in response.iter_lines():
        if line == "" and data:
            yield Event(name, json.loads("\n".join(data)))
            name, data = "message", []
        elif line.startswith("event:"):
            name = line.removeprefix("event:").strip()
        elif line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))


def texts(events: list[Event]) -> dict[str, str]:
    """Put the deltas together, as a client does; every offset must be where the text has got to."""
    written: dict[str, str] = {}
    for event in events:
        if event.name == "answer.delta":
            before = written.get(event.data["answer_id"], "")
            assert event.data["offset"] == len(before)
            assert event.data["text"]
            written[event.data["answer_id"]] = before + event.data["text"]
    return written
