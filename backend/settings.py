"""Everything that can be set about the backend. Nothing else in it reads the environment."""

from pathlib import Path
from typing import Literal

from pydantic import Field, SecretStr, ValidationError
from pydantic_settings import BaseSettings, SettingsConfigDict

from replybench.embedded_model import DEFAULT_CACHE
from replybench.errors import ConfigError
from replybench.secrets import secrets_dir

#: Values that examples and guides use for a key; outside the demo they are refused.
_PLACEHOLDERS = frozenset(
    {"change-me", "changeme", "changethis", "demo", "secret", "test", "api-key", "your-key", "key"}
)
_SHORTEST_KEY = 16


class Settings(BaseSettings):
    """Read from the environment (names in capitals) and from a file `.env`.

    Attributes:
        demo: allows a placeholder as the API key; never set it where others can reach the port.
        openai_base_url: OpenAI's own address if not given; a candidate may name another one.
        remote_api_keys: keys of other OpenAI-compatible servers, as JSON: {"http://vllm:8000/v1": "…"}.
        embedding_model: finds passages for grounded candidates by meaning too: ``all-MiniLM-L6-v2``, which a pip
            package carries, a folder, or a name on the Hub. Passages are embedded by `replybench articles load`.
        device: where local models run; ``auto`` takes a GPU if there is one.
        threads: processor threads for local models; all cores if not given.
        gather_ms: how long a batch waits for companions after its first job.
        max_waiting: answers that may wait for the local models before a request is refused (429).
        max_batch_rows: answers that are written together.
        queue_at_once: tickets of studies' queues that are answered in advance at a time, while nobody waits for an
            answer; 0 leaves them to other processes.
        lease_s: after this time without a sign of life, a process counts as dead and its answers as interrupted.
        abandon_after_s: an unfinished suggestion that nobody has watched for so long is cancelled.
        stop_grace_s: how long a stopping process lets open streams end.
        max_body_bytes: the largest request.
        redaction: how names are found in what comes in: by the name model, by patterns only, or (``auto``) by the model
            where its package is installed. ``off`` stores texts as they come: only where no person ever writes.
        public_words: names that are no personal data, such as the company's and its products'.
        own_domains: the company's domains, whose pages and role mailboxes are no personal data.
        api_key_rate_per_minute: requests a minute with API_KEY; other keys have limits of their own.
        api_key_max_concurrent: requests at once with API_KEY.
        statement_timeout_s: the longest that one statement may keep the database busy.
        cors_origins: web sites whose scripts may read responses; none is the safe default.
    """

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", frozen=True, secrets_dir=secrets_dir())

    database_url: str
    api_key: SecretStr
    demo: bool = False
    lineup: Path = Path("lineups/demo.toml")
    openai_api_key: SecretStr | None = None
    openai_model: str = "gpt-3.5-turbo"
    openai_base_url: str | None = None
    remote_api_keys: dict[str, SecretStr] = {}
    embedding_model: str | None = None
    model_cache_dir: Path = DEFAULT_CACHE
    device: Literal["auto", "cpu", "cuda"] = "auto"
    threads: int | None = Field(default=None, ge=1)
    gather_ms: float = Field(default=8.0, ge=0, le=1000)
    max_waiting: int = Field(default=96, ge=1)
    max_batch_rows: int = Field(default=24, ge=1)
    queue_at_once: int = Field(default=1, ge=0)
    lease_s: float = Field(default=10.0, ge=1)
    abandon_after_s: float = Field(default=60.0, gt=0)
    stop_grace_s: float = Field(default=3.0, ge=0)
    max_body_bytes: int = Field(default=2 * 2**20, ge=1024)
    redaction: Literal["auto", "model", "patterns", "off"] = "auto"
    public_words: tuple[str, ...] = ()
    own_domains: tuple[str, ...] = ()
    api_key_rate_per_minute: int = Field(default=60_000, ge=1)
    api_key_max_concurrent: int = Field(default=1_000, ge=1)
    statement_timeout_s: float = Field(default=60.0, ge=1)
    cors_origins: tuple[str, ...] = ()
    log_level: Literal["debug", "info", "warning", "error"] = "info"

    def available(self) -> set[str]:
        """Return the names of the settings that have a value, for a lineup's `needs`."""
        values = {name: getattr(self, name) for name in type(self).model_fields}
        return {
            name
            for name, value in values.items()
            if (value.get_secret_value() if isinstance(value, SecretStr) else value) not in (None, "")
        }

    def check_api_key(self) -> None:
        """Raise ConfigError if the key is one that everybody knows, unless this is the demo."""
        key = self.api_key.get_secret_value()
        if not key:
            raise ConfigError("API_KEY is empty. Set it to a long random text, for example from: openssl rand -hex 32")
        if not self.demo and (key.lower() in _PLACEHOLDERS or len(key) < _SHORTEST_KEY):
            raise ConfigError(
                f"API_KEY is a placeholder or shorter than {_SHORTEST_KEY} characters. Set it to a long random text, "
                "for example from: openssl rand -hex 32"
            )


def load_settings() -> Settings:
    """Return the settings.

    Raises:
        ConfigError: a setting is missing or wrong; names it, and never shows its value.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(f"{'.'.join(map(str, item['loc'])).upper()}: {item['msg']}" for item in error.errors())
        raise ConfigError(
            f"The backend cannot start. {problems}. Set it in the environment or in .env (see .env.example); "
            "'replybench demo' sets everything by itself."
        ) from error
