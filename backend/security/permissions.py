"""Who may do what: one table, which the gate enforces, docs/PERMISSIONS.md shows, and a test walks.

A key has scopes. A key with `act_as` (the console's) also says which person acts and in which role; then both must
allow it. A key without `act_as` has no roles: its scopes alone decide.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from enum import IntEnum, StrEnum

from replybench.errors import ConfigError


class Scope(StrEnum):
    """What a key may do. `admin` holds all others."""

    SUGGEST = "suggest"
    RATE = "rate"
    COMPLETE = "complete"
    RESULTS = "results"
    STUDIES = "studies"
    OPERATE = "operate"
    ACT_AS = "act_as"
    ADMIN = "admin"


#: A line about each scope, for the documents and `replybench keys create --help`.
SCOPES: Mapping[Scope, str] = {
    Scope.SUGGEST: "ask tickets, read the answers blind, tell what was done with them",
    Scope.RATE: "score answers",
    Scope.COMPLETE: "use the OpenAI-compatible API, where candidates are called by name (not blind)",
    Scope.RESULTS: "read results and training runs, and choose candidates when asking",
    Scope.STUDIES: "make, open and close studies, and fill their queues",
    Scope.OPERATE: "read metrics and the state of operations",
    Scope.ACT_AS: "say which person acts, and in which role (the console's key)",
    Scope.ADMIN: "everything",
}


class Role(IntEnum):
    """What a person is; a higher one may all that a lower one may."""

    MANAGER = 1
    LEAD = 2
    ADMIN = 3

    @classmethod
    def named(cls, name: str) -> "Role | None":
        """Return the role of this name, in any case, or None."""
        return cls.__members__.get(name.strip().upper())


@dataclass(frozen=True, slots=True)
class Rule:
    """What an endpoint asks for. `needs_key` False: open to everybody. No `scope`: any key will do."""

    scope: Scope | None = None
    role: Role = Role.MANAGER
    needs_key: bool = True

    def allows(self, scopes: Collection[Scope], role: Role) -> bool:
        """Return whether a caller with a key may come in."""
        has_scope = self.scope is None or self.scope in scopes or Scope.ADMIN in scopes
        return has_scope and role >= self.role


OPEN = Rule(needs_key=False)
ANY_KEY = Rule()
ASK = Rule(Scope.SUGGEST)
SCORE = Rule(Scope.RATE)
COMPLETE = Rule(Scope.COMPLETE, Role.LEAD)
READ_RESULTS = Rule(Scope.RESULTS, Role.LEAD)
LEAD_STUDIES = Rule(Scope.STUDIES, Role.LEAD)
OPERATE = Rule(Scope.OPERATE, Role.LEAD)
ADMINISTER = Rule(Scope.ADMIN, Role.ADMIN)

#: (method, path as in the OpenAPI) → rule. An endpoint that is not here is refused, and the service does not start.
RULES: Mapping[tuple[str, str], Rule] = {
    ("GET", "/healthz"): OPEN,
    ("GET", "/readyz"): OPEN,
    ("GET", "/metrics"): OPERATE,
    ("GET", "/api/operations"): OPERATE,
    ("GET", "/api/engines"): OPERATE,
    ("GET", "/api/lineups"): OPERATE,
    ("POST", "/api/lineups/use"): ADMINISTER,
    ("GET", "/api/rubric"): ANY_KEY,
    ("GET", "/api/lineup"): ANY_KEY,
    ("GET", "/api/example-tickets"): ANY_KEY,
    ("GET", "/api/studies"): ANY_KEY,
    ("POST", "/api/studies"): LEAD_STUDIES,
    ("PATCH", "/api/studies/{name}"): LEAD_STUDIES,
    ("POST", "/api/studies/{name}/tickets"): LEAD_STUDIES,
    ("POST", "/api/studies/{name}/retry"): LEAD_STUDIES,
    ("GET", "/api/studies/{name}/progress"): READ_RESULTS,
    ("POST", "/api/suggestions"): ASK,
    ("GET", "/api/suggestions"): ASK,
    ("GET", "/api/suggestions/{suggestion_id}"): ASK,
    ("GET", "/api/suggestions/{suggestion_id}/events"): ASK,
    ("DELETE", "/api/suggestions/{suggestion_id}"): ASK,
    ("POST", "/api/suggestions/{suggestion_id}/again"): ASK,
    ("GET", "/api/suggestions/{suggestion_id}/askings"): ASK,
    ("POST", "/api/answers/{answer_id}/retry"): ASK,
    ("PUT", "/api/usage/{usage_id}"): ASK,
    ("PUT", "/api/answers/{answer_id}/rating"): SCORE,
    ("GET", "/api/suggestions/{suggestion_id}/marks"): SCORE,
    ("PUT", "/api/suggestions/{suggestion_id}/skip"): SCORE,
    ("DELETE", "/api/suggestions/{suggestion_id}/skip"): SCORE,
    ("PUT", "/api/answers/{answer_id}/flags/{kind}"): SCORE,
    ("DELETE", "/api/answers/{answer_id}/flags/{kind}"): SCORE,
    ("GET", "/api/skips"): SCORE,
    ("GET", "/api/queue"): SCORE,
    ("POST", "/api/queue/next"): SCORE,
    ("GET", "/api/flags"): READ_RESULTS,
    ("GET", "/v1/models"): COMPLETE,
    ("POST", "/v1/chat/completions"): COMPLETE,
    ("GET", "/api/results"): READ_RESULTS,
    ("GET", "/api/results/answers"): READ_RESULTS,
    ("GET", "/api/results/report"): READ_RESULTS,
    ("GET", "/api/training/runs"): READ_RESULTS,
    ("GET", "/api/training/runs/{name}/metrics"): READ_RESULTS,
}


def check_complete(endpoints: Collection[tuple[str, str]]) -> None:
    """Raise ConfigError if an endpoint has no rule: nobody would have decided who may use it."""
    missing = sorted(f"{method} {path}" for method, path in set(endpoints) - set(RULES))
    if missing:
        raise ConfigError(f"No permission is set for {', '.join(missing)}. Add it to backend/security/permissions.py.")


def as_markdown() -> str:
    """Return the table of docs/PERMISSIONS.md."""
    lines = ["| endpoint | key's scope | least role, where a person acts |", "|---|---|---|"]
    for (method, path), rule in RULES.items():
        if not rule.needs_key:
            lines.append(f"| `{method} {path}` | none: open | – |")
        else:
            scope = f"`{rule.scope}`" if rule.scope else "any key"
            lines.append(f"| `{method} {path}` | {scope} | {rule.role.name.lower()} |")
    lines += ["", "| scope | what a key with it may do |", "|---|---|"]
    lines += [f"| `{scope}` | {text} |" for scope, text in SCOPES.items()]
    return "\n".join(lines)


_DOCUMENT = """# Permissions

This page is written from the table that the backend enforces (`backend/security/permissions.py`), by
`python -m backend.security.permissions > docs/PERMISSIONS.md`; a test compares them and walks every endpoint.

A request is let in if its key's scope **and**, where a person acts, that person's role allow it.

- Keys are made by `replybench keys create NAME --scope …`. `API_KEY`, from the settings, has the scope `admin`, so that
  the first key can be made and one machine works without any other.
- A key with `act_as` (the console's) names the person (`X-Rater`, `X-Rater-Id`) and the role (`X-Role`). If it names no
  role, it is manager's. The scopes of the key stay the ceiling.
- A key without `act_as` (the widget's) names people too, but they are its own: it cannot speak for anybody whom the
  console or another key knows, nor see what they were shown. To count an agent in the widget and in the console as one
  rater, give the widget's key `act_as` as well; its other scopes still bound it.
- Whoever may choose the candidates, or call them by name, knows who answers: that is not for managers.
"""

if __name__ == "__main__":
    import sys

    sys.stdout.write(f"{_DOCUMENT}\n{as_markdown()}\n")
