"""People at work: each asks, waits, rates, and remembers every rating that the backend acknowledged."""

import random
import threading
import time
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

import httpx

from tests.faults.stack import KEY


@dataclass
class Load:
    """Runs raters in threads until it is stopped. A call that fails is repeated, as the console and the widget do."""

    urls: list[str]
    raters: int = 4
    acknowledged: dict[tuple[str, UUID], dict[str, int]] = field(default_factory=dict)
    asked: int = 0
    refused: int = 0
    _stopping: threading.Event = field(default_factory=threading.Event)
    _threads: list[threading.Thread] = field(default_factory=list)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def start(self) -> None:
        for number in range(self.raters):
            thread = threading.Thread(target=self._work, args=(f"Rater {number}", self.urls[number % len(self.urls)]))
            self._threads.append(thread)
            thread.start()

    def stop(self) -> None:
        self._stopping.set()
        for thread in self._threads:
            thread.join(60)
            assert not thread.is_alive(), "a rater hangs"

    def wait_for_more(self, ratings: int, patience_s: float = 60) -> None:
        """Wait until so many more ratings were acknowledged: the service works (again)."""
        goal, end = len(self.acknowledged) + ratings, time.monotonic() + patience_s
        while len(self.acknowledged) < goal:
            assert time.monotonic() < end, f"no {ratings} ratings more within {patience_s:.0f} s"
            time.sleep(0.1)

    def _work(self, rater: str, url: str) -> None:
        chance = random.Random(rater)
        headers = {"Authorization": f"Bearer {KEY}", "X-Rater": rater}
        with httpx.Client(base_url=url, headers=headers, timeout=10, trust_env=False) as client:
            while not self._stopping.is_set():
                self._one_ticket(client, rater, chance)

    def _one_ticket(self, client: httpx.Client, rater: str, chance: random.Random) -> None:
        made = self._sent(client, "POST", "/api/suggestions", {"text": f"A question, number {chance.random()}"})
        if made is None:
            return
        with self._lock:
            self.asked += 1
        end = time.monotonic() + 20
        while time.monotonic() < end and not self._stopping.is_set():
            now = self._sent(client, "GET", f"/api/suggestions/{made['id']}")
            if now is not None and now["is_complete"]:
                for answer in now["answers"]:
                    if answer["status"] == "done":
                        self._rate(client, rater, UUID(answer["id"]), chance)
                return
            time.sleep(0.1)

    def _rate(self, client: httpx.Client, rater: str, answer: UUID, chance: random.Random) -> None:
        scores = {key: chance.randint(1, 5) for key in ("content", "grammar", "structure", "style")}
        while not self._stopping.is_set():
            if self._sent(client, "PUT", f"/api/answers/{answer}/rating", {"scores": scores}) is not None:
                with self._lock:
                    self.acknowledged[rater, answer] = scores
                return

    def _sent(self, client: httpx.Client, method: str, path: str, body: object = None) -> dict[str, Any] | None:
        try:
            response = client.request(method, path, json=body)
        except httpx.HTTPError:
            time.sleep(0.1)
            return None
        if response.is_success:
            whole: dict[str, Any] = response.json()
            return whole
        assert response.status_code in {409, 429, 503}, (response.status_code, response.text)
        self.refused += 1
        time.sleep(0.1)
        return None
