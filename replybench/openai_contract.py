"""OpenAI's shapes, as far as we speak them. What else a client sends is ignored, as other servers do."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from replybench.lineups import MOST_TOKENS

_Text = Annotated[str, Field(max_length=200_000)]
_Stop = Annotated[str, Field(max_length=200)]


class Part(BaseModel):
    """A piece of a message; only texts are understood."""

    type: Literal["text"]
    text: _Text


class Message(BaseModel):
    """One message of the conversation."""

    role: Literal["system", "developer", "user", "assistant"]
    content: _Text | list[Part]

    @property
    def words(self) -> str:
        """The text, whichever way it came."""
        return self.content if isinstance(self.content, str) else "".join(part.text for part in self.content)


class StreamOptions(BaseModel):
    """What a stream is to tell besides."""

    include_usage: bool = False


class ChatCompletionRequest(BaseModel):
    """POST /v1/chat/completions."""

    model_config = ConfigDict(extra="ignore")

    model: str
    messages: list[Message] = Field(min_length=1, max_length=500)
    stream: bool = False
    stream_options: StreamOptions | None = None
    max_tokens: int | None = Field(default=None, ge=1)
    max_completion_tokens: int | None = Field(default=None, ge=1)
    temperature: float | None = Field(default=None, ge=0, le=2)
    top_p: float | None = Field(default=None, gt=0, le=1)
    seed: int | None = Field(default=None, ge=-(2**63), lt=2**63)
    stop: _Stop | list[_Stop] | None = None
    n: Literal[1] | None = None

    @property
    def stops(self) -> list[str]:
        """The texts at which to stop. Empty ones, which some harnesses send, are none."""
        given = [self.stop] if isinstance(self.stop, str) else self.stop or []
        return [text for text in given if text]

    @property
    def most_tokens(self) -> int | None:
        """How long the answer may be, by either name; harnesses ask for far more than any candidate writes."""
        wanted = self.max_completion_tokens or self.max_tokens
        return None if wanted is None else min(wanted, MOST_TOKENS)


class CompletionUsage(BaseModel):
    """Tokens; null where the engine does not tell."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class AnswerMessage(BaseModel):
    """What the candidate wrote."""

    role: Literal["assistant"] = "assistant"
    content: str


class Choice(BaseModel):
    """The one answer."""

    index: Literal[0] = 0
    message: AnswerMessage
    finish_reason: Literal["stop", "length"]
    logprobs: None = None


class ChatCompletion(BaseModel):
    """The whole answer."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[Choice]
    usage: CompletionUsage


class ChunkChoice(BaseModel):
    """A piece of the one answer."""

    index: Literal[0] = 0
    delta: dict[str, str]
    finish_reason: Literal["stop", "length"] | None = None
    logprobs: None = None


class ChatCompletionChunk(BaseModel):
    """One event of a stream."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[ChunkChoice]
    usage: CompletionUsage | None = None


class ModelCard(BaseModel):
    """A candidate as a model."""

    id: str
    object: Literal["model"] = "model"
    created: int
    owned_by: str = "replybench"


class ModelList(BaseModel):
    """GET /v1/models."""

    object: Literal["list"] = "list"
    data: list[ModelCard]
