"""A run's card: what the adapter is, what it learnt from, and how good it is, with the figures. Goes where it goes."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from replybench.embedded_model import EMBEDDED
from training.finetune.evaluate import Interval
from training.finetune.recipe import Recipe
from training.finetune.run_folder import StepMetrics

#: The Hub's name of the model that ships.
EMBEDDED_ON_HUB = "HuggingFaceTB/SmolLM2-135M-Instruct"
_MEASURES = {
    "token_f1": "token F1",
    "rouge_l": "ROUGE-L",
    "similarity": "embedding similarity",
}
#: What a run took: its name in the summary and in the estimate, in words, and how it is written.
_COSTS: tuple[tuple[str, str, Callable[[float], str]], ...] = (
    ("peak_memory_mib", "most memory", lambda mib: f"{mib:,.0f} MiB"),
    ("seconds", "time of the steps", lambda seconds: f"{seconds / 60:,.1f} minutes"),
    ("tokens_per_second", "tokens per second", lambda tokens: f"{tokens:,.0f}"),
)


def card(recipe: Recipe, dataset: dict[str, Any], summary: dict[str, Any]) -> str:
    """Return the card as Markdown with the Hub's metadata on top."""
    parts = [
        _metadata(recipe),
        f"# {recipe.name}\n\n{recipe.description}".rstrip(),
        _what(recipe, dataset),
        _quality(recipe, summary),
        _answers(summary),
        _cost(summary),
        "![Loss of each step, and the held-out loss](loss.png)\n\n"
        "Beside this card: `recipe.yaml` (every setting), `dataset.json` (fingerprint and counts), `losses.jsonl` "
        "(every step).",
        _use(recipe),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _metadata(recipe: Recipe) -> str:
    lines = [
        "---",
        f"base_model: {EMBEDDED_ON_HUB if recipe.base == EMBEDDED else recipe.base}",
        *([f"base_model_revision: {recipe.revision}"] if recipe.revision else []),
        f"library_name: {'transformers' if recipe.method == 'full' else 'peft'}",
        "pipeline_tag: text-generation",
        "tags:",
        "- replybench",
        f"- {recipe.kind}",
        f"- {recipe.method}",
        "---",
    ]
    return "\n".join(lines)


def _what(recipe: Recipe, dataset: dict[str, Any]) -> str:
    learnt = dataset["train"]
    used = " and ".join(dataset["use"])
    adapter = f"rank {recipe.lora.rank}, alpha {recipe.lora.alpha}" if recipe.method != "full" else "every weight"
    return (
        f"Trained by {recipe.kind.upper()} ({recipe.method}, {adapter}) on {used}: {learnt['texts']:,} texts, "
        f"{learnt.get('tokens', 0):,} tokens. Judged by {dataset['heldout']['texts']:,} held-out texts that share no "
        f"ticket with the training rows.\n\nData set fingerprint: `{dataset['fingerprint']}`"
    )


def _quality(recipe: Recipe, summary: dict[str, Any]) -> str:
    before, after = summary.get("heldout_loss_before"), summary.get("heldout_loss")
    if before is None or after is None:
        return ""
    what = "on the agents' turns of held-out tickets" if recipe.kind == "sft" else "on held-out pairs"
    rows = [
        "## Held-out loss",
        "",
        f"The mean over target tokens, {what}.",
        "",
        "| | loss |",
        "|---|--:|",
        f"| before | {before:.4f} |",
        f"| after | {after:.4f} |",
        f"| difference | {100 * (after / before - 1):+.1f}% |",
    ]
    if summary.get("stopped_early_at"):
        rows += ["", f"The held-out loss was flat at step {summary['stopped_early_at']}, so the run ended there."]
    return "\n".join(rows)


def _cost(summary: dict[str, Any]) -> str:
    expected = summary.get("estimate", {})
    places = f" on {summary['processes']} processes" if summary["processes"] > 1 else ""
    rows = [
        "## What it took",
        "",
        f"{summary['steps']} steps{places}; judging and saving are not counted.",
        "",
        "| | estimated before | measured |",
        "|---|--:|--:|",
    ]
    for key, name, form in _COSTS:
        if summary.get(key):
            told = form(expected[key]) if key in expected else ""
            rows.append(f"| {name} | {told} | {form(summary[key])} |")
    rows += [f"\nNote: {note}" for note in summary["notes"]]
    return "\n".join(rows)


def _answers(summary: dict[str, Any]) -> str:
    found = summary.get("answers")
    if not found:
        return ""
    rows = [
        "## Answers to held-out tickets",
        "",
        f"How near greedy answers to {found['tickets']} held-out tickets come to what the agents wrote, beside the "
        "untuned base asked in its own chat form. Means over tickets with 95% bootstrap intervals; the difference is "
        "by ticket.",
        "",
        "| measure | this adapter | base | difference |",
        "|---|---|---|---|",
    ]
    for name, sides in found["measures"].items():
        cells = (_shown(sides["adapter"]), _shown(sides["base"]), _shown(sides["difference"], sign=True))
        rows.append(f"| {_MEASURES[name]} | {' | '.join(cells)} |")
    return "\n".join([*rows, "", "Nearness to one agent's wording is no rating. People's ratings decide."])


def _shown(value: Interval | dict[str, float], *, sign: bool = False) -> str:
    mean, lower, upper = (
        (value["mean"], value["lower"], value["upper"])
        if isinstance(value, dict)
        else (value.mean, value.lower, value.upper)
    )
    form = "+.3f" if sign else ".3f"
    return f"{mean:{form}} ({lower:{form}} to {upper:{form}})"


def _use(recipe: Recipe) -> str:
    return (
        "## Use\n\nThe prompt is the study's text form, and ends where the answer begins:\n\n"
        "    ### Subject: …\n    ### Question: …\n    ### Answer:\n\n"
        "Stop at the next `###` or at the end-of-text token. Replybench serves it with "
        f"`replybench register {recipe.name}`."
    )


def draw_losses(steps: list[StepMetrics], title: str, file: Path) -> None:
    """Draw the loss of each step and the held-out loss."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, axes = pyplot.subplots(figsize=(7, 3.6), dpi=120)
    for key, label, style in (("loss", "training", "-"), ("eval_loss", "held out", "o-")):
        points = [(row.step, row.values[key]) for row in steps if key in row.values]
        if points:
            axes.plot(*zip(*points, strict=True), style, label=label, linewidth=1.2, markersize=4)
    axes.set_xlabel("step")
    axes.set_ylabel("loss")
    axes.set_title(title, loc="left", fontsize=10)
    axes.grid(alpha=0.25)
    axes.legend(frameon=False)
    figure.tight_layout()
    figure.savefig(file)
    pyplot.close(figure)
