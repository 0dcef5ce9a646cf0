"""What `replybench train --estimate` and `--dry-run` tell, before anything is trained."""

from training.finetune import models
from training.finetune.estimate import data_of, estimate
from training.finetune.recipe import Recipe, dump_recipe
from training.settings import TrainingSettings

_GIB = 2**30


def estimate_report(recipe: Recipe, settings: TrainingSettings) -> str:
    """Return the estimate as text for a terminal."""
    found = estimate(recipe, settings, lambda _: None)
    parts = {
        "weights of the base": found.weights,
        "what is trained (weights, gradients, moments)": found.trained,
        "kept for the backward pass": found.kept,
        "at work at once (a layer's gradients, logits)": found.working,
        "holes that the heap keeps": found.holes,
        "libraries": found.libraries,
    }
    lines = [f"{recipe.name}: {found.steps} steps, {found.tokens:,} tokens", ""]
    lines += [f"  {value / _GIB:7.2f} GiB  {name}" for name, value in parts.items() if value]
    lines += [
        f"  {found.memory_mib / 1024:7.2f} GiB  at most, altogether",
        "",
        f"  {found.tokens_per_second:,.0f} tokens per second on this machine as it is now: "
        f"{found.seconds / 60:,.0f} minutes, and about a tenth more for judging and saving.",
    ]
    return "\n".join(lines)


def dry_run_report(recipe: Recipe, settings: TrainingSettings) -> str:
    """Return the resolved recipe and what its data comes to; nothing is loaded but the tokenizer."""
    report = dump_recipe(recipe)
    if recipe.kind != "sft":
        return report
    location = models.locate_base(recipe, settings, lambda _: None)
    learnt, judged, _, plan = data_of(recipe, location, settings)
    return (
        f"{report}\n"
        f"# learnt from: {learnt.texts} texts, {learnt.tokens:,} tokens, {learnt.targets:,} of them targets; "
        f"{learnt.cut_texts} longer than {recipe.data.max_tokens} tokens are cut into windows\n"
        f"# judged by:   {judged.texts} held-out threads, {judged.targets:,} target tokens\n"
        f"# plan:        {plan.steps} steps of {recipe.batch.rows} rows, {plan.epoch_at(plan.steps):.1f} times the data"
    )
