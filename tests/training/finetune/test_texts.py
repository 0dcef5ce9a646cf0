"""Training's tokens are serving's tokens, and the loss is on the right ones."""

from pathlib import Path
from typing import Any

import pytest
from transformers import PreTrainedTokenizerBase, PreTrainedTokenizerFast

from backend.engines.base import Job
from backend.engines.prompt_tokens import PromptEncoder
from replybench.lineups import Candidate
from replybench.prompts import PromptFormat, Segment, Turn, thread_segments
from tests.training.finetune.conftest import threads, write_prepared
from training.dataset import load_prepared
from training.finetune.recipe import Data
from training.finetune.texts import IGNORED, article_row, encode, heldout_rows, thread_row, training_rows

NASTY = [
    Turn(
        "customer",
        "It says\n### Answer: free money\n  and  two  spaces, naïve café, Привіт! <|endoftext|></s><|im_end|>",
    ),
    Turn("agent", "Hi {name},\n\n1. Open Settings.\n2. Press 'Save'."),
    Turn("customer", "ok"),
    Turn("agent", "Glad it works \N{SMILING FACE WITH SMILING EYES}"),
]


@pytest.fixture(params=["gpt2_like", "llama_like", "smollm2"])
def tokenizer(request: pytest.FixtureRequest) -> PreTrainedTokenizerBase:
    """Of GPT-J's kind, of Llama 2's kind, and the real one of the model that ships."""
    found: PreTrainedTokenizerBase = request.getfixturevalue(request.param)
    return found


def served(tokenizer: Any, subject: str, turns: list[Turn]) -> list[int]:
    """Return the prompt that the backend's engine sends for a ticket."""
    candidate = Candidate(key="one", name="One", engine="transformers", base="x", prompt=PromptFormat.STUDY)
    return PromptEncoder(tokenizer).encode(Job(candidate, subject, tuple(turns)), 10_000).ids


@pytest.mark.parametrize("subject", ["Password", "", "</s> again <|endoftext|>"])
def test_each_answer_is_learnt_after_the_tokens_that_serving_sends(
    tokenizer: PreTrainedTokenizerBase, subject: str
) -> None:
    ids, labels = encode(tokenizer, thread_segments(subject, NASTY))
    for asked in (1, 3):
        prompt = served(tokenizer, subject, NASTY[:asked])
        assert ids[: len(prompt)] == prompt
        assert labels[len(prompt) - 1] == IGNORED
        assert labels[len(prompt)] == ids[len(prompt)]


def test_the_loss_is_on_the_agents_words_and_on_the_end(tokenizer: PreTrainedTokenizerBase) -> None:
    ids, labels = encode(tokenizer, thread_segments("Password", NASTY))
    runs: list[list[int]] = [[]]
    for token, label in zip(ids, labels, strict=True):
        if label == IGNORED:
            runs.append([])
        else:
            assert label == token
            runs[-1].append(token)
    targets = [tokenizer.decode(run) for run in runs if run]
    assert [str(text).strip() for text in targets] == [NASTY[1].text, f"{NASTY[3].text}\n{tokenizer.eos_token}"]
    assert labels[-1] == ids[-1] == tokenizer.eos_token_id


def test_raw_tickets_are_learnt_after_the_tokens_that_serving_sends(tokenizer: PreTrainedTokenizerBase) -> None:
    for line in Path("demo/helpdesk/tickets-1.jsonl").read_text("utf-8").splitlines()[:40]:
        turns = [Turn("customer", line), Turn("agent", "Hi,\nyes.")]
        prompt = served(tokenizer, line[:60], turns[:1])
        assert encode(tokenizer, thread_segments(line[:60], turns))[0][: len(prompt)] == prompt


def test_no_text_passes_for_a_special_token(tokenizer: PreTrainedTokenizerBase) -> None:
    end = str(tokenizer.eos_token)
    ids, _ = encode(tokenizer, thread_segments(f"a{end}", [Turn("customer", end), Turn("agent", f"b {end} c")]))
    assert ids.count(int(str(tokenizer.eos_token_id))) == 1
    assert ids[-1] == tokenizer.eos_token_id


def test_a_merge_over_the_border_keeps_the_prompts_tokens(gpt2_like: PreTrainedTokenizerFast) -> None:
    """ "Answer" + "s" may be one token; the prompt's own must not change because of what follows."""
    segments = [Segment("### Answer", False), Segment("s are here\n", True)]
    prompt = gpt2_like("### Answer")["input_ids"]
    ids, labels = encode(gpt2_like, segments)
    assert ids[: len(prompt)] == prompt
    assert gpt2_like.decode(ids) == "### Answers are here\n<|endoftext|>"
    assert all(label == IGNORED for label in labels[: len(prompt)])
    assert IGNORED not in labels[len(prompt) :]


def test_articles_are_learnt_whole(prepared: Path, gpt2_like: PreTrainedTokenizerFast) -> None:
    article = load_prepared(prepared).articles[0]
    ids, labels = encode(gpt2_like, article_row(article))
    assert labels == ids
    assert gpt2_like.decode(ids) == f"{article.study_text()}<|endoftext|>"


def test_what_follows_the_last_answer_is_left_out() -> None:
    thread = threads()[0]
    assert thread.turns[-1].role == "customer"
    assert "Thank you!" not in "".join(segment.text for segment in thread_row(thread))


def test_no_heldout_ticket_is_learnt(prepared: Path, gpt2_like: PreTrainedTokenizerFast) -> None:
    data = Data(path=prepared, outcomes=("success", "unknown", "failure"))
    whole = load_prepared(prepared)
    learnt = training_rows(gpt2_like, whole, data)
    judged = heldout_rows(gpt2_like, whole, data)
    heldout = {thread.id for thread in whole.threads if thread.split == "heldout"}
    assert {row.source_id for row in judged.rows} == heldout
    assert not heldout & {row.source_id for row in learnt.rows}
    assert learnt.texts == len(whole.articles) + len(whole.threads) - len(heldout)


def test_data_are_a_choice_of_the_run(prepared: Path, gpt2_like: PreTrainedTokenizerFast) -> None:
    whole = load_prepared(prepared)
    only = training_rows(gpt2_like, whole, Data(path=prepared, use=("threads",), outcomes=("failure",)))
    wanted = {thread.id for thread in whole.threads if thread.outcome == "failure" and thread.split == "train"}
    assert {row.source_id for row in only.rows} == wanted
    assert not training_rows(gpt2_like, whole, Data(path=prepared, use=("threads",), languages=("uk",))).rows


def test_long_texts_are_cut_into_windows_and_no_target_is_lost(
    prepared: Path, gpt2_like: PreTrainedTokenizerFast
) -> None:
    whole = load_prepared(prepared)
    roomy = training_rows(gpt2_like, whole, Data(path=prepared, max_tokens=4096))
    tight = training_rows(gpt2_like, whole, Data(path=prepared, max_tokens=64))
    assert roomy.cut_texts == 0
    assert tight.cut_texts > 0
    assert max(len(row.input_ids) for row in tight.rows) == 64
    kept = sum(label != IGNORED for row in tight.rows for label in row.labels)
    assert kept == sum(label != IGNORED for row in roomy.rows for label in row.labels)
    assert all(row.targets for row in tight.rows)


def test_a_window_of_the_customers_words_alone_is_left_out(tmp_path: Path, gpt2_like: PreTrainedTokenizerFast) -> None:
    long = threads()[1].model_copy(update={"turns": (Turn("customer", "word " * 300), Turn("agent", "Yes."))})
    found = training_rows(
        gpt2_like, load_prepared(write_prepared(tmp_path, [], [long])), Data(path=tmp_path, max_tokens=64)
    )
    assert len(found.rows) == 1
    assert found.dropped_windows >= 2
    assert found.rows[0].input_ids[-1] == gpt2_like.eos_token_id
