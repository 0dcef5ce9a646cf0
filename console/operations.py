"""What the Operations page shows, asked of the backend and laid out in rows."""

from console import state
from console.i18n import _
from replybench.operations_contract import OperationsPublic

Row = dict[str, str | int]


def load() -> OperationsPublic:
    """Return the state of operations as it is now."""
    return OperationsPublic.model_validate(state.backend().fetch("/api/operations", {}).document)


def engine_rows(now: OperationsPublic) -> list[Row]:
    """Return a row for each model or server."""
    words = {"ok": _("up"), "loading": _("is being loaded"), "failing": _("down")}
    return [
        {
            _("Model or server"): engine.title,
            _("State"): engine.problem or words[engine.state],
            _("Device"): engine.device,
            _("Memory"): _seen(engine.memory_mib, "MiB", 0),
            _("Waiting"): engine.waiting,
            _("Candidates"): ", ".join(engine.candidates),
        }
        for engine in now.engines
    ]


def candidate_rows(now: OperationsPublic) -> list[Row]:
    """Return a row for each candidate that was asked in the last 24 hours."""
    return [
        {
            _("Candidate"): candidate.name,
            _("Complete"): candidate.done,
            _("Failed"): candidate.failed,
            _("Last failure"): candidate.last_error or "–",
            _("First words"): _seen(candidate.first_token_s, "s", 1),
            _("Whole answer"): _seen(candidate.answer_s, "s", 1),
            _("Slowest 5 %"): _seen(candidate.answer_p95_s, "s", 1),
            _("Tokens"): candidate.tokens,
        }
        for candidate in now.candidates
    ]


def _seen(value: float | None, unit: str, digits: int) -> str:
    return "–" if value is None else f"{value:.{digits}f} {unit}"
