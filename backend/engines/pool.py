"""From a lineup to its engines: candidates that share a base or a server share an engine."""

from collections.abc import Callable
from pathlib import Path

from backend.engines.base import Engine
from backend.logs import log
from backend.settings import Settings
from replybench.errors import ConfigError
from replybench.lineups import Candidate, Lineup, load_lineup


def read_lineup(settings: Settings) -> Lineup:
    """Return the configured lineup with `needs`/`otherwise` decided and `$OPENAI_MODEL` filled in.

    In a candidate, ``model = "$OPENAI_MODEL"`` is the setting's value, and ``{model}`` in its name shows it.
    """
    lineup = load_lineup(settings.lineup).resolved(settings.available())
    candidates = tuple(_servable(_filled(candidate, settings)) for candidate in lineup.candidates)
    return lineup.model_copy(update={"candidates": candidates})


def _servable(candidate: Candidate) -> Candidate:
    """Return the candidate, on the transformers engine where the fast one's library has no build for this system."""
    from backend.engines.fast_engine import is_installed

    if candidate.engine != "fast" or is_installed():
        return candidate
    log().warning("fast_engine_not_installed", candidate=candidate.key, told="The transformers engine serves it.")
    return candidate.model_copy(update={"engine": "transformers"})


def _filled(candidate: Candidate, settings: Settings) -> Candidate:
    model = settings.openai_model if candidate.model == "$OPENAI_MODEL" else candidate.model
    if model is None:
        return candidate
    return candidate.model_copy(update={"model": model, "name": candidate.name.replace("{model}", model)})


def make_engines(lineup: Lineup, settings: Settings) -> dict[str, Engine]:
    """Return candidate key → engine; nothing is loaded yet.

    Raises:
        ConfigError: an adapter's directory is missing, or an engine is not known here.
    """
    groups: dict[tuple[str | None, ...], list[Candidate]] = {}
    for candidate in lineup.candidates:
        if candidate.adapter and candidate.adapter.startswith("/") and not Path(candidate.adapter).is_dir():
            raise ConfigError(f"candidate '{candidate.key}': there is no adapter in {candidate.adapter}.")
        groups.setdefault(_shared(candidate), []).append(candidate)
    engines: dict[str, Engine] = {}
    for group in groups.values():
        engine = _MAKERS[group[0].engine](group, settings)
        engines.update({candidate.key: engine for candidate in group})
    return engines


def _shared(candidate: Candidate) -> tuple[str | None, ...]:
    """Return what candidates must have in common to share an engine."""
    if candidate.engine == "openai":
        return (candidate.engine, candidate.base_url)
    if candidate.engine in {"scripted", "fast"}:
        return (candidate.engine,)
    return (candidate.engine, candidate.base, candidate.revision, candidate.quantisation, candidate.dtype)


def _scripted(candidates: list[Candidate], _: Settings) -> Engine:
    from backend.engines.scripted_engine import ScriptedEngine

    return ScriptedEngine(candidates)


def _openai(candidates: list[Candidate], settings: Settings) -> Engine:
    from backend.engines.openai_engine import OpenAIEngine

    base_url = candidates[0].base_url or settings.openai_base_url
    # OpenAI's key goes to OpenAI (or what stands in for it) alone; every other server has its own.
    key = settings.remote_api_keys.get(base_url) if candidates[0].base_url and base_url else settings.openai_api_key
    return OpenAIEngine(candidates, base_url, key.get_secret_value() if key else None)


def _transformers(candidates: list[Candidate], settings: Settings) -> Engine:
    from backend.engines.transformers_engine import TransformersEngine

    return TransformersEngine(candidates, settings)


def _fast(candidates: list[Candidate], settings: Settings) -> Engine:
    from backend.engines.fast_engine import FastEngine

    return FastEngine(candidates, settings)


_MAKERS: dict[str, Callable[[list[Candidate], Settings], Engine]] = {
    "scripted": _scripted,
    "openai": _openai,
    "transformers": _transformers,
    "fast": _fast,
}
