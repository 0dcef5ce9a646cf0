"""Follows suggestions that are being answered: one thread reads a stream, any number of reruns look at it.

A page cannot hold a stream open across Streamlit's reruns, and three columns must grow at once; so the stream is read
beside the page, which looks at what has come a few times per second. A stream that breaks off is opened again, and
begins with what exists by then.
"""

import threading
import time
from uuid import UUID

from console.backend_client import BackendClient, StreamDone, StreamEvent
from replybench.contract import AnswerChanged, AnswerDelta, AnswerPublic, AnswerStatus, SuggestionPublic
from replybench.errors import NotFound, NotSignedIn, ReplybenchError

#: Nobody has looked for this long (seconds): the page was closed, and the backend may know.
FORGET_AFTER_S = 20.0
_PAUSES_S = (0.3, 0.6, 1.0, 2.0, 3.0)


def applied(suggestion: SuggestionPublic, event: StreamEvent) -> SuggestionPublic:
    """Return `suggestion` as it is after `event`.

    A delta that does not continue what is there (something was missed) leaves the text as it is: the next snapshot
    or the finished answer brings the whole.
    """
    if isinstance(event, StreamDone):
        return suggestion.model_copy(update={"is_complete": True})
    answers = list(suggestion.answers)
    for index, answer in enumerate(answers):
        if isinstance(event, AnswerChanged) and answer.id == event.answer.id:
            answers[index] = event.answer.model_copy(update={"slot": answer.slot})
        elif isinstance(event, AnswerDelta) and answer.id == event.answer_id and _continues(answer, event):
            text = answer.text[: event.offset] + event.text
            answers[index] = answer.model_copy(update={"text": text, "status": AnswerStatus.WRITING})
    return suggestion.model_copy(update={"answers": answers})


def _continues(answer: AnswerPublic, delta: AnswerDelta) -> bool:
    return not answer.status.is_final and delta.offset <= len(answer.text)


class Follower:
    """Keeps one suggestion, as one rater sees it, up to date until it is complete or nobody looks any more."""

    def __init__(self, client: BackendClient, rater: str, suggestion: SuggestionPublic) -> None:
        """`suggestion` is what is known at the start."""
        self._client = client
        self._rater = rater
        self._lock = threading.Lock()
        self._suggestion = suggestion
        self._trouble: ReplybenchError | None = None
        self._looked_at = time.monotonic()
        self._thread = threading.Thread(target=self._follow, name=f"follow-{suggestion.id}", daemon=True)
        self._thread.start()

    @property
    def is_alive(self) -> bool:
        """Whether the stream is still being read."""
        return self._thread.is_alive()

    def look(self) -> tuple[SuggestionPublic, ReplybenchError | None]:
        """Return the suggestion as far as it is known, and what keeps more from coming, if anything does."""
        with self._lock:
            self._looked_at = time.monotonic()
            return self._suggestion, self._trouble

    def _follow(self) -> None:
        pauses = iter(_PAUSES_S)
        while not self._is_forgotten():
            began = time.monotonic()
            try:
                self._refresh()
                if self._read_stream():
                    return
            except (NotFound, NotSignedIn) as error:
                self._note(error)
                return
            except ReplybenchError as error:
                self._note(error)
            if time.monotonic() - began > _PAUSES_S[-1]:
                pauses = iter(_PAUSES_S)  # it worked for a while: try soon
            time.sleep(next(pauses, _PAUSES_S[-1]))

    def _refresh(self) -> None:
        suggestion = self._client.suggestion(self._rater, self._suggestion.id)
        with self._lock:
            self._suggestion, self._trouble = suggestion, None

    def _read_stream(self) -> bool:
        """Read until the end (True), or until nobody looks any more or the stream breaks off (False)."""
        for event in self._client.events(self._rater, self._suggestion.id):
            with self._lock:
                self._suggestion = applied(self._suggestion, event)
            if isinstance(event, StreamDone):
                self._refresh()  # the finished whole: what was cut, and who wrote what if that may be told
                with self._lock:
                    return self._suggestion.is_complete
            if self._is_forgotten():
                return False
        return False

    def _note(self, error: ReplybenchError) -> None:
        with self._lock:
            self._trouble = error

    def _is_forgotten(self) -> bool:
        with self._lock:
            return time.monotonic() - self._looked_at > FORGET_AFTER_S


class Followers:
    """The followers of this process, one for each rater and suggestion."""

    def __init__(self) -> None:
        """Begin with none."""
        self._lock = threading.Lock()
        self._followers: dict[tuple[str, UUID], Follower] = {}

    def look(
        self, client: BackendClient, rater: str, suggestion_id: UUID
    ) -> tuple[SuggestionPublic, ReplybenchError | None]:
        """Return the suggestion as `rater` sees it now, and what is in the way of more; follow it if need be.

        Raises:
            Unavailable: nothing is known of it yet, and the backend is away.
            NotFound: there is no such suggestion.
        """
        key = (rater, suggestion_id)
        with self._lock:
            self._followers = {at: one for at, one in self._followers.items() if one.is_alive or at == key}
            follower = self._followers.get(key)
        if follower is not None:
            suggestion, trouble = follower.look()
            if follower.is_alive or (suggestion.is_complete and trouble is None):
                return suggestion, trouble
        suggestion = client.suggestion(rater, suggestion_id)
        if not suggestion.is_complete:
            with self._lock:
                if self._followers.get(key) is follower:  # else another tab has begun to follow meanwhile
                    self._followers[key] = Follower(client, rater, suggestion)
        return suggestion, None

    def forget(self, rater: str, suggestion_id: UUID) -> None:
        """Ask the backend anew at the next look: the suggestion was changed (rated, asked again)."""
        with self._lock:
            self._followers.pop((rater, suggestion_id), None)
