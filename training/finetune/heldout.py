"""A run's own held-out texts, as they were tokenised for it: what its result is judged by after the run, too."""

from replybench.errors import ReplybenchError
from replybench.prompts import Segment, Turn, thread_segments
from training.dataset import load_prepared
from training.finetune.models import Say, load_tokenizer, locate_base
from training.finetune.recipe import Recipe
from training.finetune.run_folder import RunFolder
from training.finetune.texts import encode, heldout_rows
from training.preferences.folder import Preferences, load_preferences
from training.settings import TrainingSettings


def heldout_texts(
    folder: RunFolder, recipe: Recipe, settings: TrainingSettings, say: Say
) -> list[tuple[list[int], list[int]]] | None:
    """Return (input ids, labels) of each held-out text; None where the run's data is gone or is another by now.

    Of preferences it is the better answers (a label is negative where the loss is not taken).
    """
    try:
        fingerprint = folder.dataset()["fingerprint"]
        data = load_prepared(recipe.data.path) if recipe.kind == "sft" else load_preferences(recipe.data.path)
    except (ReplybenchError, OSError):
        return None
    if data.fingerprint != fingerprint:
        return None
    tokenizer = load_tokenizer(locate_base(recipe, settings, say), recipe, settings)
    if isinstance(data, Preferences):
        size = recipe.data.max_tokens
        encoded = (encode(tokenizer, segments) for segments in _good_answers(data, recipe))
        return [(ids[:size], labels[:size]) for ids, labels in encoded]
    return [(row.input_ids, row.labels) for row in heldout_rows(tokenizer, data, recipe.data).rows]


def _good_answers(preferences: Preferences, recipe: Recipe) -> list[list[Segment]]:
    if recipe.kind == "dpo":
        rows = [(pair, pair.chosen) for pair in preferences.pairs if pair.split == "heldout"]
        return [thread_segments(pair.subject, [*pair.turns, Turn("agent", chosen)]) for pair, chosen in rows]
    good = [label for label in preferences.labels if label.split == "heldout" and label.is_good]
    return [thread_segments(label.subject, [*label.turns, Turn("agent", label.answer)]) for label in good]
