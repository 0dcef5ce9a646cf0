"""Ratings that were collected elsewhere: whole or not at all, twice the same, and errors with their lines."""

from pathlib import Path

import pytest
from sqlmodel import Session, func, select

from backend.results import importing, service
from backend.results.importing import Imported, Scale
from backend.results.service import Query
from db.models import Rating, RatingRevision, Study
from replybench.errors import Conflict, InvalidInput
from replybench.results_contract import ResultsPublic
from tests.results.studies import four, write_study

FIVE = Scale(1, 5)
HEADER = "ticket,model,rater,metric,score\n"


@pytest.fixture
def table(tmp_path: Path) -> Path:
    """Four tickets, two models, two raters, two metrics."""
    lines = [
        f"t{t},{model},{rater},{metric},{1 + (t + lift + (rater == 'b')) % 5}"
        for t in range(4)
        for model, lift in (("alpha", 0), ("beta", 2))
        for rater in "ab"
        for metric in ("fluency", "adequacy")
    ]
    path = tmp_path / "ratings.csv"
    path.write_text(HEADER + "\n".join(lines) + "\n", "utf-8")
    return path


def load(session: Session, path: Path, weights: dict[str, float] | None = None, scale: Scale = FIVE) -> Imported:
    done = importing.load(session, "outside", importing.read_table(path, scale), scale=scale, weights=weights)
    session.flush()
    session.expire_all()
    return done


def results(session: Session) -> ResultsPublic:
    study = service.find_study(session, "outside")
    return service.results(session, study, Query(), version=service.current_version(session, study))


def test_a_table_becomes_a_read_only_study(session: Session, table: Path) -> None:
    done = load(session, table)
    assert (done.tickets, done.models, done.raters, done.metrics, done.added) == (4, 2, 2, 2, 16)
    found = results(session)
    assert found.study.is_read_only
    assert [(m.key, m.weight) for m in found.metrics] == [("adequacy", 0.5), ("fluency", 0.5)]
    alpha = next(c for c in found.candidates if c.name == "alpha")
    assert (alpha.tickets, alpha.ratings, alpha.key) == (4, 8, "alpha")
    # ticket means of alpha over raters a and b: 1.5, 2.5, 3.5, 4.5
    assert alpha.weighted == pytest.approx(3.0)
    assert alpha.metrics[0].counts == [1, 2, 2, 2, 1]
    assert {entry.answers for entry in found.agreement} == {8}
    assert found.pairs[0].weighted.tickets == 4


def test_twice_the_same_changes_nothing(session: Session, table: Path) -> None:
    load(session, table)
    before = results(session)
    done = load(session, table)
    assert (done.added, done.changed, done.unchanged) == (0, 0, 16)
    assert results(session) == before
    assert session.exec(select(func.count()).select_from(Rating)).one() == 16


def test_a_corrected_file_replaces_scores_and_keeps_the_old_ones(session: Session, table: Path) -> None:
    load(session, table)
    text = table.read_text("utf-8").replace("t0,alpha,a,fluency,1", "t0,alpha,a,fluency,5")
    table.write_text(text + "t9,alpha,a,fluency,3\nt9,alpha,a,adequacy,3\n", "utf-8")
    done = load(session, table)
    assert (done.added, done.changed, done.unchanged) == (1, 1, 15)
    assert [old.scores["fluency"] for old in session.exec(select(RatingRevision))] == [1]
    alpha = next(c for c in results(session).candidates if c.name == "alpha")
    assert (alpha.tickets, alpha.metrics[1].counts[4]) == (5, 2)


def test_weights_count(session: Session, table: Path) -> None:
    load(session, table, {"fluency": 3, "adequacy": 1})
    assert {m.key: m.weight for m in results(session).metrics} == {"adequacy": 0.25, "fluency": 0.75}
    load(session, table)
    assert {m.key: m.weight for m in results(session).metrics} == {"adequacy": 0.25, "fluency": 0.75}


@pytest.mark.parametrize(
    ("weights", "message"),
    [({"fluency": 1.0}, "no weight for adequacy"), ({"fluency": 1, "adequacy": 1, "style": 1}, "no such metric"),
     ({"fluency": 1, "adequacy": 0}, "above zero"), ({"fluency": 1, "adequacy": float("nan")}, "above zero")],
)  # fmt: skip
def test_weights_that_do_not_fit(session: Session, table: Path, weights: dict[str, float], message: str) -> None:
    with pytest.raises(InvalidInput, match=message):
        load(session, table, weights)


def test_every_wrong_line_is_named_and_nothing_is_read(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(
        HEADER
        + "1,m,r,fluency,6\n1,m,r,style,many\n,m,r,style,2\n\n2,m,r,style,2\n2,m,r,style,3\n3,m,r,style,2.5\n3,m\n",
        "utf-8",
    )
    with pytest.raises(InvalidInput) as told:
        importing.read_table(path, FIVE)
    for part in (
        "line 2: the score 6 is not from 1 to 5",
        "line 3: the score is not a number",
        "line 4: no ticket",
        "line 7: another score than line 6",
        "line 8: the score 2.5 is not a whole number",
        "line 9: no rater",
    ):
        assert part in told.value.message


def test_wrong_lines_beyond_ten_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "bad.csv"
    path.write_text(HEADER + "1,m,r,style,9\n" * 25, "utf-8")
    with pytest.raises(InvalidInput, match="and 15 more"):
        importing.read_table(path, FIVE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"ticket,model,rater,score\n1,m,r,2\n", "line 1: no column metric"),
        (b"", "line 1: no column"),
        (HEADER.encode(), "has a header and no rows"),
        (b"\xff\xfe\x00", "is not UTF-8"),
        (HEADER.encode() + b"1,m,r,me\x00tric,2\n", "holds a NUL"),
    ],
)
def test_files_that_are_none_are_told(tmp_path: Path, content: bytes, message: str) -> None:
    path = tmp_path / "file.csv"
    path.write_bytes(content)
    with pytest.raises(InvalidInput, match=message):
        importing.read_table(path, FIVE)


def test_a_file_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="There is no file"):
        importing.read_table(tmp_path / "none.csv", FIVE)
    with pytest.raises(InvalidInput, match="is a folder"):
        importing.read_table(tmp_path, FIVE)


def test_semicolons_byte_order_mark_other_columns_and_repeats(tmp_path: Path) -> None:
    path = tmp_path / "excel.csv"
    path.write_text("\ufeffMetric;Score;Note;Ticket;Model;Rater\nstyle;4.0;x;1;m;r\nstyle;4;;1;m;r\n", "utf-8")
    found = importing.read_table(path, FIVE)
    assert dict(found.ratings) == {importing.Place("1", "m", "r"): {"style": 4}}
    assert (found.lines, found.repeated) == (2, 1)


def test_another_scale(session: Session, tmp_path: Path) -> None:
    path = tmp_path / "seven.csv"
    path.write_text(HEADER + "1,m,r,style,7\n1,n,r,style,0\n", "utf-8")
    load(session, path, scale=Scale(0, 7))
    found = results(session)
    assert (found.lowest, found.highest, found.positive_from) == (0, 7, 4)
    assert next(c for c in found.candidates if c.name == "n").negative == 1


def test_a_study_that_was_rated_here_is_not_touched(session: Session, table: Path) -> None:
    write_study(session, [("t", "llama", "Olena", four(3))], name="outside")
    with pytest.raises(Conflict, match="was not imported"):
        load(session, table)
    with pytest.raises(Conflict, match="was not imported"):
        importing.load(session, "published-2024", importing.read_table(table, FIVE), scale=FIVE, weights=None)
    with pytest.raises(InvalidInput, match="name is made of"):
        importing.load(session, "No good name", importing.read_table(table, FIVE), scale=FIVE, weights=None)


def test_it_never_becomes_the_study_that_is_open(session: Session, table: Path) -> None:
    load(session, table)
    stored = session.exec(select(Study).where(Study.name == "outside")).one()
    assert stored.closed_at is not None
