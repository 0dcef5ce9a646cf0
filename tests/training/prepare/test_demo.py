"""The demo's export against its manifest: what stays, why the rest goes, how tickets ended, that nobody is named."""

import json
import re
from collections import Counter, defaultdict
from pathlib import Path
from typing import Any

import datasets
import pytest

from replybench.prompts import OUTCOME_LINES
from tests.training.prepare.conftest import DEMO
from training.dataset import Prepared, Thread
from training.helpdesk.raw import read_articles

pytestmark = pytest.mark.timeout(900)  # the first test waits for the demo to be prepared

_TAG = re.compile(r"<(?:/?[A-Za-z][^<>]*|!--)>?")
_ADDRESS = re.compile(r"https?://|www\.\w|\]\(http")


def _text(thread: Thread) -> str:
    return "\n".join([thread.subject, *(turn.text for turn in thread.turns)])


def test_tickets_are_kept_and_dropped_for_the_reasons_that_the_manifest_gives(
    demo_out: Path, prepared: Prepared, tickets_expected: dict[str, dict[str, Any]]
) -> None:
    kept = {thread.id for thread in prepared.threads}
    assert kept == {name for name, row in tickets_expected.items() if row["expect"] == "keep"}
    dropped = [json.loads(line) for line in (demo_out / "dropped.jsonl").read_text().splitlines()]
    found = Counter(row["reason"] for row in dropped)
    listed = [
        json.loads(line)["reason"]
        for part in (1, 2, 3)
        for line in (DEMO / f"tickets-{part}-manifest.jsonl").read_text().splitlines()
    ]
    assert found == Counter(reason for reason in listed if reason)
    for row in dropped:
        expected = tickets_expected[row["id"]]
        if row["reason"] in {"duplicate", "near_duplicate"}:
            assert (row["reason"], row["of"]) == (expected["reason"], expected["of"])


def test_outcomes_and_languages_are_the_manifests(
    prepared: Prepared, tickets_expected: dict[str, dict[str, Any]]
) -> None:
    wrong = {
        thread.id: (thread.outcome, thread.outcome_rule, thread.language)
        for thread in prepared.threads
        if (thread.outcome, thread.language)
        != (tickets_expected[thread.id]["outcome"], tickets_expected[thread.id]["language"])
    }
    assert wrong == {}


def test_no_personal_data_of_the_manifest_is_left(
    prepared: Prepared, tickets_expected: dict[str, dict[str, Any]]
) -> None:
    left: dict[str, list[tuple[str, str]]] = defaultdict(list)
    total: Counter[str] = Counter()
    for thread in prepared.threads:
        text = _text(thread)
        for item in tickets_expected[thread.id]["pii"]:
            total[item["kind"]] += 1
            if re.search(rf"(?<!\w){re.escape(item['value'])}(?!\w)", text):
                left[item["kind"]].append((thread.id, item["value"]))
    assert dict(left) == {}
    assert total["name"] > 500


def test_the_help_that_was_given_survives_redaction(prepared: Prepared) -> None:
    """Placeholders may not eat the answers: few of the words are placeholders, and the facts are there."""
    text = "\n".join(_text(thread) for thread in prepared.threads)
    assert len(re.findall(r"\{\w+\}", text)) / len(text.split()) < 0.03
    for fact in ("60 minutes", "Settings → Privacy", "48 hours", "5–10 working days", "Merripot", "merripot.example"):
        assert fact in text, fact


def test_articles_against_their_manifest(prepared: Prepared, articles_expected: dict[str, dict[str, Any]]) -> None:
    articles = {article.id: article for article in prepared.articles}
    assert set(articles) == {name for name, row in articles_expected.items() if row["expect"] == "keep"}
    by_slug = {article.url.rsplit("/", 1)[-1]: article.title for article in read_articles(DEMO) if article.url}
    for name, article in articles.items():
        expected = articles_expected[name]
        assert article.language == expected["language"], name
        for slug in expected["internal_links"]:
            assert by_slug[slug].strip(' ."').casefold() in article.text.casefold(), (name, slug)


def test_no_tag_image_or_link_is_left(prepared: Prepared) -> None:
    texts = {f"article {article.id}": article.text for article in prepared.articles}
    texts |= {f"ticket {thread.id}": _text(thread) for thread in prepared.threads}
    assert {name: _TAG.findall(text) for name, text in texts.items() if _TAG.search(text)} == {}
    assert {name: _ADDRESS.findall(text) for name, text in texts.items() if _ADDRESS.search(text)} == {}


def test_quotes_signatures_and_disclaimers_are_gone(prepared: Prepared) -> None:
    for thread in prepared.threads:
        for turn in thread.turns:
            assert not re.search(r"(?m)^>|\bwrote:\s*$|Sent from my|Warm regards,", turn.text), thread.id
            assert "intended for the addressee" not in turn.text


def test_the_split_keeps_groups_together_and_leaves_enough(prepared: Prepared) -> None:
    sides: dict[str, set[str]] = defaultdict(set)
    for thread in prepared.threads:
        sides[thread.group].add(thread.split)
    assert all(len(side) == 1 for side in sides.values())
    share = sum(thread.split == "heldout" for thread in prepared.threads) / len(prepared.threads)
    assert 0.08 < share < 0.22


def test_text_files_have_the_studys_form(demo_out: Path, prepared: Prepared) -> None:
    files = list((demo_out / "threads").glob("*.txt"))
    assert len(files) == len(prepared.threads)
    for thread in prepared.threads:
        text = (demo_out / "threads" / f"{thread.id}.txt").read_text(encoding="utf-8")
        lines = [line for line in text.splitlines() if line.startswith("### ")]
        assert lines[0].startswith("### Subject: ") or not thread.subject
        labels = [re.match(r"### (\w+)", line)[1] for line in lines]  # type: ignore[index]  # every such line has one
        assert [label for label in labels if label in {"Question", "Answer"}] == [
            "Question" if turn.role == "customer" else "Answer" for turn in thread.turns
        ]
        if thread.outcome in OUTCOME_LINES:
            assert lines[-1] == OUTCOME_LINES[thread.outcome]
        else:
            assert not {"Solved", "Unsolved"} & set(labels)
    articles = list((demo_out / "articles").glob("*/*.txt"))
    assert len(articles) == len(prepared.articles)
    assert all(
        re.match(r"### Title: .+\n### Category: .+\n### Body: ", path.read_text(encoding="utf-8")) for path in articles
    )


def test_the_datasets_folder_holds_the_same_rows(demo_out: Path, prepared: Prepared) -> None:
    loaded = datasets.load_from_disk(str(demo_out / "dataset"))
    for split in ("train", "heldout"):
        threads = {row["id"]: row for row in loaded[split] if row["kind"] == "thread"}
        assert set(threads) == {thread.id for thread in prepared.threads if thread.split == split}
        for thread in prepared.threads:
            if thread.id in threads:
                assert [turn["text"] for turn in threads[thread.id]["turns"]] == [turn.text for turn in thread.turns]
    assert sum(row["kind"] == "article" for row in loaded["train"]) == len(prepared.articles)
    assert all(row["kind"] == "thread" for row in loaded["heldout"])


def test_the_report_counts_what_is_there(demo_out: Path, prepared: Prepared) -> None:
    report = json.loads((demo_out / "report.json").read_text())
    assert report["fingerprint"] == prepared.fingerprint
    assert report["articles"]["kept"] == len(prepared.articles) >= 60
    assert report["articles"]["characters"] == sum(len(article.text) for article in prepared.articles)
    assert report["threads"]["kept"] == len(prepared.threads) >= 240
    assert report["threads"]["by_outcome"] == Counter(thread.outcome for thread in prepared.threads)
    assert report["tickets_read"] == report["threads"]["kept"] + sum(report["threads"]["dropped"].values())
    text = (demo_out / "REPORT.md").read_text()
    assert prepared.fingerprint in text
    assert all((demo_out / name).stat().st_size > 5000 for name in ("threads.png", "lengths.png"))
