"""Settings of the export, from the environment or `.env`."""

from pydantic import Field, SecretStr
from pydantic_settings import BaseSettings, SettingsConfigDict

from replybench.errors import ConfigError

#: Domains of Zoho's data centres, by what `ZOHO_DATA_CENTRE` may say.
DATA_CENTRES = {
    "com": "zoho.com",
    "eu": "zoho.eu",
    "in": "zoho.in",
    "au": "zoho.com.au",
    "jp": "zoho.jp",
    "ca": "zohocloud.ca",
    "sa": "zoho.sa",
    "cn": "zoho.com.cn",
}


class ZohoSettings(BaseSettings):
    """How to reach a Zoho Desk organisation. The addresses follow from the data centre unless they are given."""

    model_config = SettingsConfigDict(env_prefix="ZOHO_", env_file=".env", extra="ignore")

    data_centre: str = "com"
    desk_url: str | None = None
    accounts_url: str | None = None
    client_id: str = ""
    client_secret: SecretStr = SecretStr("")
    refresh_token: SecretStr = SecretStr("")
    org_id: str = ""
    #: API names of custom fields with a manager's mark (success, failure) and a customer's rating (good, okay, bad).
    outcome_field: str = "cf_outcome"
    rating_field: str = "cf_rating"
    #: Requests under way at once; Zoho allows 5 to 25 by edition.
    concurrency: int = Field(default=4, ge=1, le=25)

    @property
    def desk(self) -> str:
        """The address of the Desk API's host, without a slash at its end."""
        return (self.desk_url or f"https://desk.{self._domain()}").rstrip("/")

    @property
    def accounts(self) -> str:
        """The address of the accounts host, where tokens come from."""
        return (self.accounts_url or f"https://accounts.{self._domain()}").rstrip("/")

    def check(self) -> None:
        """Raise ConfigError, naming what is missing and where to get it."""
        values = {
            "ZOHO_CLIENT_ID": self.client_id,
            "ZOHO_CLIENT_SECRET": self.client_secret.get_secret_value(),
            "ZOHO_REFRESH_TOKEN": self.refresh_token.get_secret_value(),
            "ZOHO_ORG_ID": self.org_id,
        }
        missing = [name for name, value in values.items() if not value]
        if missing:
            raise ConfigError(
                f"{', '.join(missing)} not set. docs/DATA.md tells how to make a Self Client in Zoho's API console and "
                "where the organisation's id is shown; put the values into .env."
            )
        self._domain()

    def _domain(self) -> str:
        domain = DATA_CENTRES.get(self.data_centre)
        if domain is None:
            raise ConfigError(f"ZOHO_DATA_CENTRE is one of {', '.join(DATA_CENTRES)}, not '{self.data_centre}'.")
        return domain
