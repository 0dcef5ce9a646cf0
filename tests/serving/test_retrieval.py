"""Grounding: the help centre's passages in the database, found by the words of a ticket."""

import json
from pathlib import Path
from typing import Any

import pytest
from sqlmodel import Session

from backend.engines.base import Job
from backend.retrieval.grounding import Librarian, as_prompt, as_shown, fused
from backend.retrieval.passages import LONGEST, cut, read_articles
from db.queries_retrieval import Found, NewPassage, best_passages, passage_counts, replace_passages, store_embeddings
from db.session import session_scope
from replybench.embeddings import PACKAGED, Encoder
from replybench.errors import ConfigError, InvalidInput
from replybench.prompts import Turn
from tests.backend.conftest import make_settings, serving, wait_until

ARTICLES = {
    "reset": ("Reset your password", "Choose Forgot password on the sign-in page. The link works for 60 minutes."),
    "payout": ("When is my payout sent?", "A payout takes 2 to 3 working days once your identity has been checked."),
    "photos": (
        "Add photos",
        "Open the card and choose Add photo. JPEG and PNG up to 10 MB. Campaign photos are public.",
    ),
    "close": (
        "Close a campaign",
        "Open the campaign, choose Settings and then Close. Money that came in is kept for you.",
    ),
}


@pytest.fixture
def help_centre(session: Session) -> Session:
    passages = [NewPassage(id_, 0, title, None, "en", text) for id_, (title, text) in ARTICLES.items()]
    passages.append(
        NewPassage("скидання", 0, "Скидання пароля", None, "uk", "Натисніть «Забули пароль» на сторінці входу.")
    )
    replace_passages(session, passages)
    return session


@pytest.mark.parametrize(
    ("ticket", "title"),
    [
        ("I forgot my passwords and cannot sign in", "Reset your password"),
        ("Where are the payouts? I have waited for days", "When is my payout sent?"),
        ("how do i add a photo to my campaign", "Add photos"),
        ("I'd like to be closing my campaign early", "Close a campaign"),
    ],
)
def test_the_article_on_the_matter_comes_first(help_centre: Session, ticket: str, title: str) -> None:
    found = Librarian().sources_for(help_centre, "", [Turn("customer", ticket)], "en")
    assert found[0].title == title
    assert [passage.score for passage in found] == sorted((p.score for p in found), reverse=True)


def test_rare_words_count_more_than_common_ones(help_centre: Session) -> None:
    """'campaign' stands in two articles, 'JPEG' and 'PNG' in one."""
    found = best_passages(help_centre, "campaign jpeg png", "en", most=4, share=0)
    assert found[0].title == "Add photos"


def test_nothing_is_found_for_a_ticket_on_something_else(help_centre: Session) -> None:
    assert Librarian().sources_for(help_centre, "", [Turn("customer", "Thank you, have a lovely weekend!")], "en") == []
    assert Librarian().sources_for(help_centre, "", [Turn("customer", "… !! ???")], "en") == []


def test_a_ticket_finds_articles_of_its_own_language_alone(help_centre: Session) -> None:
    found = Librarian().sources_for(help_centre, "", [Turn("customer", "Я забули пароль на сторінці")], "uk")
    assert [passage.title for passage in found] == ["Скидання пароля"]
    assert Librarian().sources_for(help_centre, "", [Turn("customer", "password")], "uk") == []


def test_search_syntax_in_a_ticket_is_only_words(help_centre: Session) -> None:
    hostile = 'password\' | ! & :* <-> ((( \\ "quoted" -- ; DROP TABLE passage'
    assert Librarian().sources_for(help_centre, "", [Turn("customer", hostile)], "en")[0].title == "Reset your password"


@pytest.fixture(scope="module")
def encoder() -> Encoder:
    return Encoder(PACKAGED)


@pytest.fixture
def embedded(help_centre: Session, encoder: Encoder) -> Session:
    assert store_embeddings(help_centre, PACKAGED, encoder.encode) == len(ARTICLES) + 1
    return help_centre


@pytest.mark.parametrize(
    ("ticket", "title"),
    [
        ("I don't remember my login secret any more", "Reset your password"),
        ("How do I upload an image?", "Add photos"),
    ],
)
def test_meaning_finds_what_no_word_does(embedded: Session, encoder: Encoder, ticket: str, title: str) -> None:
    turns = [Turn("customer", ticket)]
    assert title not in [found.title for found in Librarian().sources_for(embedded, "", turns, "en")]
    assert Librarian(encoder).sources_for(embedded, "", turns, "en")[0].title == title


def test_neither_words_nor_meaning_find_anything_for_something_else(embedded: Session, encoder: Encoder) -> None:
    turns = [Turn("customer", "Thank you, have a lovely weekend!")]
    assert Librarian(encoder).sources_for(embedded, "", turns, "en") == []


def test_embeddings_of_another_model_are_not_compared(embedded: Session) -> None:
    never_loaded = Encoder("another-model")
    found = Librarian(never_loaded).sources_for(embedded, "", [Turn("customer", "I forgot my password")], "en")
    assert found[0].title == "Reset your password"


def test_an_embedding_model_that_cannot_be_had_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="EMBEDDING_MODEL"):
        Encoder(str(tmp_path)).warm()


def test_fusion_puts_first_what_both_rankings_know() -> None:
    a, b, c = (Found(name, name, None, "", score) for name, score in (("a", 9.0), ("b", 5.0), ("c", 0.9)))
    assert [found.article_id for found in fused([[a, b], [b, c]])] == ["b", "a", "c"]
    assert fused([[], []]) == []


def test_one_passage_speaks_for_an_article(session: Session) -> None:
    text = "The payout is sent. " * 3
    replace_passages(session, [NewPassage("a", n, "Payouts", None, "en", text) for n in range(3)] + [
        NewPassage(str(n), 0, "Other", None, "en", f"Something else {n}.") for n in range(9)
    ])  # fmt: skip
    found = best_passages(session, "payout", "en", most=5, share=0)
    assert len(found) == 1
    assert as_shown(found) == [{"title": "Payouts", "url": None, "score": round(found[0].score, 3)}]
    assert as_prompt(found) == (f"Payouts\n{text}",)


def test_a_load_replaces_what_was_there(session: Session) -> None:
    replace_passages(session, [NewPassage("old", 0, "Old", None, "en", "old words")])
    assert replace_passages(session, [NewPassage("new", 0, "New", None, "de", "neue Wörter")]) == 1
    assert passage_counts(session) == {"de": (1, 1)}


def test_a_long_article_is_cut_at_paragraphs_and_nothing_is_lost() -> None:
    text = "\n".join([f"Paragraph {n} " + "word " * 40 for n in range(9)] + ["One sentence. " * 90, "x" * 1500])
    passages = cut(text)
    assert max(map(len, passages)) <= LONGEST
    assert "".join("".join(passages).split()) == "".join(text.split())


def test_articles_come_from_a_prepared_folder(tmp_path: Path) -> None:
    row = {"id": "1", "title": "Title", "category": None, "text": "First.\nSecond.", "language": "en"}
    (tmp_path / "articles.jsonl").write_text(json.dumps(row) + "\n", "utf-8")
    assert list(read_articles(tmp_path)) == [NewPassage("1", 0, "Title", None, "en", "First.\nSecond.")]


def test_what_is_wrong_with_a_folder_is_told(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="replybench prepare"):
        list(read_articles(tmp_path))
    (tmp_path / "articles.jsonl").write_text('{"id": "1"}\n', "utf-8")
    with pytest.raises(InvalidInput, match="line 1"):
        list(read_articles(tmp_path))


GROUNDED = """
name = "grounded"
title = "Grounded"
[[candidates]]
key = "with"
name = "With"
engine = "scripted"
retrieval = true
[[candidates]]
key = "without"
name = "Without"
engine = "scripted"
"""


def test_sources_stand_beside_the_grounded_answer_alone(database_url: str, tmp_path: Path) -> None:
    seen: list[Job] = []
    with serving(make_settings(database_url, tmp_path, GROUNDED)) as backend, backend.client() as client:
        engine = backend.app.state.desk.roster.seats[0].engine
        stream = engine.stream

        def watched(job: Job) -> Any:
            seen.append(job)
            return stream(job)

        engine.stream = watched
        with session_scope(backend.database) as session:
            replace_passages(
                session, [NewPassage(i, 0, t, f"https://help/{i}", "en", x) for i, (t, x) in ARTICLES.items()]
            )
        body = {"subject": "Help", "text": "I forgot my password"}
        id_ = client.post("/api/suggestions", json=body).json()["id"]
        wait_until(lambda: client.get(f"/api/suggestions/{id_}").json()["is_complete"], 20)
        answers = client.get(f"/api/suggestions/{id_}").json()["answers"]
        client.post(
            "/v1/chat/completions", json={"model": "with", "messages": [{"role": "user", "content": "my payout"}]}
        ).raise_for_status()
    assert sorted(len(answer["sources"]) for answer in answers) == [0, 1]
    source = next(answer["sources"][0] for answer in answers if answer["sources"])
    assert (source["title"], source["url"]) == ("Reset your password", "https://help/reset")
    prompts = {job.candidate.key: job.sources for job in seen[:2]}
    assert prompts["without"] == ()
    assert prompts["with"][0].startswith("Reset your password\nChoose Forgot password")
    assert seen[2].sources[0].startswith("When is my payout sent?")
