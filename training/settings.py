"""The settings of the training process. Nothing else in `training` reads the environment."""

from pathlib import Path

from pydantic import SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from replybench.embedded_model import DEFAULT_CACHE
from replybench.errors import ConfigError
from replybench.stack import running_stack
from training.preferences.studies import Backend


class TrainingSettings(BaseSettings):
    """Read from the environment and `.env`; unknown keys belong to other processes and are left alone.

    Attributes:
        database_url: where runs are told as they go; if unset, the demo's database while it runs, else nowhere.
        model_cache_dir: where the embedded model is kept.
        runs_dir: a folder per run.
        hf_token: for gated models and for `replybench push`; the Hub's own login if unset.
        hf_endpoint: another Hub than the public one.
        backend_url, api_key: the backend, for `challenge` and `promote`; the running demo's if unset.
    """

    model_config = SettingsConfigDict(env_file=".env", extra="ignore")

    database_url: str | None = None
    model_cache_dir: Path = DEFAULT_CACHE
    runs_dir: Path = Path("runs")
    hf_token: SecretStr | None = None
    hf_endpoint: str | None = None
    backend_url: str | None = None
    api_key: SecretStr | None = None

    def database(self) -> str | None:
        """Return the address of the database to tell, or None."""
        if self.database_url:
            return self.database_url
        stack = running_stack()
        return stack.database_url if stack else None


def backend_of(settings: TrainingSettings, url: str | None = None) -> Backend:
    """Return the backend at `url`, or the one that the settings name, or the demo's that runs from here.

    Raises:
        ConfigError: none of them, or no key.
    """
    stack = running_stack()
    address = url or settings.backend_url or (stack.backend_url if stack else None)
    key = settings.api_key.get_secret_value() if settings.api_key else (stack.api_key if stack else None)
    if not address or not key:
        raise ConfigError("No backend: start the demo, or set BACKEND_URL and API_KEY.")
    return Backend(address, key)
