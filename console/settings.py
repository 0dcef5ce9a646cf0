"""The console's settings, read from the environment or `.env` in one place."""

from functools import cache

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from replybench.errors import ConfigError


class ConsoleSettings(BaseSettings):
    """Where the backend is, and how to speak to it.

    Attributes:
        backend_url: address of the backend, without a path.
        api_key: what the backend knows as API_KEY; not needed when it asks for none.
        backend_timeout_s: how long one request may take (seconds) before the backend counts as away.
    """

    model_config = SettingsConfigDict(env_file=".env", extra="ignore")

    backend_url: str = "http://127.0.0.1:8000"
    api_key: SecretStr | None = None
    backend_timeout_s: float = Field(default=10.0, gt=0)

    @field_validator("api_key", mode="before")
    @classmethod
    def _empty_is_none(cls, value: str | None) -> str | None:
        """`API_KEY=` in an environment file means that there is none."""
        return (value or "").strip() or None


@cache
def console_settings() -> ConsoleSettings:
    """Return this process's settings.

    Raises:
        ConfigError: a value cannot be used; names the setting.
    """
    try:
        return ConsoleSettings()
    except ValidationError as error:
        names = ", ".join(str(item["loc"][0]).upper() for item in error.errors())
        raise ConfigError(f"These settings of the console cannot be used: {names}. See .env.example.") from error
