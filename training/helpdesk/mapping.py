"""A mapping file brings data of another form into the raw form, without code.

It is TOML with up to three tables: `[article]`, `[ticket]` and `[turn]`. In each, a raw field is given the name of the
field that carries it (`category = "topic"`), or a rule:

    [ticket]
    category = "topic"                                    # another name
    outcome = { from = "solved", values = { true = "success" } }   # a translation; what is not listed is null
    role = { const = "agent" }                            # always the same value
    contact = { from = "person", fields = { name = "full_name", email = "mail" } }
    is_spam = { from = "state", values = { spam = true } }

Dots reach into objects (`email = "requester.email"`). Fields that the file does not name keep their own name.
"""

import difflib
import tomllib
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from replybench.errors import ConfigError

_FIELDS = {
    "article": {"id", "title", "category", "html", "text", "url", "permission", "updated_at"},
    "ticket": {
        *("id", "subject", "created_at", "status", "outcome", "rating", "contact", "category", "is_spam", "turns"),
    },
    "turn": {"id", "role", "author", "created_at", "html", "text", "is_spam"},
}


class Rule(BaseModel):
    """How one raw field is made."""

    model_config = ConfigDict(extra="forbid", populate_by_name=True)

    source: str | None = Field(default=None, alias="from")
    values: dict[str, Any] | None = None
    const: Any = None
    fields: dict[str, str] | None = None

    def of(self, row: dict[str, Any]) -> Any:
        """Return the field's value for a row of the foreign form."""
        if self.source is None:
            return self.const
        value = _reach(row, self.source)
        if self.fields is not None:
            return (
                {name: _reach(value, path) for name, path in self.fields.items()} if isinstance(value, dict) else None
            )
        if self.values is not None:
            return self.values.get(str(value).lower() if isinstance(value, bool) else str(value))
        return value


class Mapping(BaseModel):
    """The rules of a mapping file."""

    model_config = ConfigDict(extra="forbid")

    description: str = ""
    article_rules: dict[str, Rule] = Field(default_factory=dict, alias="article")
    ticket_rules: dict[str, Rule] = Field(default_factory=dict, alias="ticket")
    turn_rules: dict[str, Rule] = Field(default_factory=dict, alias="turn")

    def article(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return an article of the foreign form in the raw form."""
        return _mapped(row, self.article_rules)

    def ticket(self, row: dict[str, Any]) -> dict[str, Any]:
        """Return a ticket of the foreign form, with its turns, in the raw form."""
        ticket = _mapped(row, self.ticket_rules)
        turns = ticket.get("turns")
        if isinstance(turns, list):
            ticket["turns"] = [_mapped(turn, self.turn_rules) if isinstance(turn, dict) else turn for turn in turns]
        return ticket


def load_mapping(path: Path) -> Mapping:
    """Read a mapping file.

    Raises:
        ConfigError: it is missing, is no TOML, or names a field that the raw form does not have.
    """
    if not path.is_file():
        raise ConfigError(f"The mapping file {path} does not exist.")
    try:
        tables = tomllib.loads(path.read_text(encoding="utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path} is not TOML: {error}.") from error
    for table, fields in _FIELDS.items():
        rules = tables.get(table, {})
        for name, rule in rules.items():
            if name not in fields:
                near = difflib.get_close_matches(name, fields, n=1)
                hint = f" Did you mean '{near[0]}'?" if near else f" It has {', '.join(sorted(fields))}."
                raise ConfigError(f"{path}: the raw form of an {table} has no field '{name}'.{hint}")
            rules[name] = {"from": rule} if isinstance(rule, str) else rule
    try:
        return Mapping.model_validate(tables)
    except ValidationError as error:
        first = error.errors(include_url=False)[0]
        raise ConfigError(f"{path}: {'.'.join(map(str, first['loc']))}: {first['msg']}.") from error


def _mapped(row: dict[str, Any], rules: dict[str, Rule]) -> dict[str, Any]:
    return {**row, **{name: rule.of(row) for name, rule in rules.items()}}


def _reach(value: Any, path: str) -> Any:
    for part in path.split("."):
        if not isinstance(value, dict):
            return None
        value = value.get(part)
    return value
