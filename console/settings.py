"""The console's settings, read from the environment or `.env` in one place."""

from functools import cache
from pathlib import Path

from pydantic import Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from replybench.errors import ConfigError
from replybench.secrets import secrets_dir


class ConsoleSettings(BaseSettings):
    """Where the backend is, and how to speak to it.

    Attributes:
        backend_url: address of the backend, without a path.
        api_key: what the backend knows as API_KEY; not needed when it asks for none.
        oidc_file: Streamlit's `[auth]` table with the identity provider; without it the console is in local mode.
        role_claim: the claim of the ID token that holds manager, lead or admin; dots lead deeper.
        leads: e-mail addresses of people who are leads whatever the token says.
        admins: the same for admins.
        trust_network: allows local mode where others can reach the port (behind a sign-in of a proxy's own).
        backend_timeout_s: how long one request may take (seconds) before the backend counts as away.
    """

    model_config = SettingsConfigDict(env_file=".env", extra="ignore", secrets_dir=secrets_dir())

    backend_url: str = "http://127.0.0.1:8000"
    api_key: SecretStr | None = None
    oidc_file: Path | None = None
    role_claim: str = "roles"
    leads: tuple[str, ...] = ()
    admins: tuple[str, ...] = ()
    trust_network: bool = False
    backend_timeout_s: float = Field(default=10.0, gt=0)

    @field_validator("api_key", "oidc_file", mode="before")
    @classmethod
    def _empty_is_none(cls, value: object) -> object:
        """`API_KEY=` in an environment file means that there is none."""
        return (value.strip() or None) if isinstance(value, str) else value


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
