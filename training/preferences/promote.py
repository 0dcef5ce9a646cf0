"""A run's adapter takes the old one's place in a lineup, if people's ratings favour it."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

from replybench.errors import Conflict, NotFound
from replybench.lineups import load_lineup
from training.finetune.register import blocks, write_lineup
from training.finetune.run_folder import RunFolder, utc_now

#: Returns a study's verdict: {status, leader (a candidate's key), difference, lower, upper, tickets, …}.
Verdicts = Callable[[str], dict[str, Any]]
PROMOTIONS = "promotions.jsonl"


def promote(
    folder: RunFolder,
    lineup_file: Path,
    *,
    challenger: str,
    champion: str,
    study: str,
    verdicts: Verdicts,
    force: bool,
    reason: str = "",
) -> dict[str, Any]:
    """Put the challenger's model in the champion's place in the lineup, and take the challenger's own column out.

    Args:
        folder: the run that made the challenger; the promotion is recorded in it.
        challenger: the new candidate's key; `champion`: the old one's, which the column keeps.
        study: where both were rated blind.
        verdicts: how the study's verdict is read.
        force: promote whatever the verdict is, recorded as such with `reason`.

    Returns:
        The record: when, verdict, forced or not, what was replaced.

    Raises:
        Conflict: the verdict does not favour the challenger, and `force` was not asked for.
        NotFound: the lineup does not have both candidates.
    """
    verdict = verdicts(study)
    favours = verdict["status"] == "decided" and verdict["leader"] == challenger
    if not favours and not force:
        raise Conflict(f"{_why(verdict, challenger, study)} Rate more of its tickets, or use --force with a --reason.")
    replaced = _swap(lineup_file, challenger, champion)
    record = {
        "at": utc_now().isoformat(),
        "run": folder.name,
        "lineup": str(lineup_file),
        "column": champion,
        "challenger": challenger,
        "study": study,
        "verdict": verdict,
        "forced": not favours,
        "reason": reason,
        "replaced": replaced,
    }
    folder.path.mkdir(parents=True, exist_ok=True)
    with (folder.path / PROMOTIONS).open("a", encoding="utf-8") as file:
        file.write(json.dumps(record) + "\n")
    return record


def _why(verdict: dict[str, Any], challenger: str, study: str) -> str:
    if verdict["status"] == "decided":
        return f"In '{study}' people rate '{verdict['leader']}' higher than '{challenger}'."
    more = f" About {verdict['more_tickets']} more tickets would tell." if verdict["more_tickets"] else ""
    return f"'{study}' does not tell yet who is better ({verdict['tickets']} tickets rated for both).{more}"


def _swap(lineup_file: Path, challenger: str, champion: str) -> str:
    """Rewrite the lineup; returns what the champion's column held before (its adapter, or its base)."""
    lineup = load_lineup(lineup_file)
    found = {candidate.key: candidate for candidate in lineup.candidates}
    if missing := [key for key in (challenger, champion) if key not in found]:
        raise NotFound(f"{lineup_file} has no candidate {' and '.join(missing)}.")
    text = lineup_file.read_text("utf-8")
    new = next(block for block in blocks(text) if _key_of(block) == challenger)
    kept = []
    for block in blocks(text):
        if _key_of(block) == challenger:
            continue
        if _key_of(block) == champion:
            block = re.sub(r'(?m)^key\s*=\s*".*"$', f'key = "{champion}"', new, count=1)
            block = block.rstrip() + "\n\n"
        kept.append(block)
    write_lineup(lineup_file, "".join(kept).rstrip() + "\n", champion)
    return found[champion].adapter or found[champion].base or found[champion].model or champion


def _key_of(block: str) -> str | None:
    match = re.search(r'(?m)^key\s*=\s*"([^"]*)"', block)
    return match.group(1) if match and "[[candidates]]" in block else None
