"""Charts, tables and files: what they hold, that no name in them is ever code, and that no figure is NaN."""

import csv
import json
import random
import re
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from io import BytesIO, StringIO
from pathlib import Path

import pytest
from openpyxl import load_workbook  # type: ignore[import-untyped]  # ships no types
from sqlmodel import Session, select

from backend.results import report, service
from backend.results.service import Query
from console.charts import catalogue, style, tables, verdict
from console.charts.words import Words
from db.models import Candidate, Rater
from replybench.commands import import_ as import_command
from replybench.commands import report as report_command
from replybench.results_contract import ResultsPublic
from tests.results.studies import four, write_rating, write_study

HOSTILE = "</script><script>alert(1)</script><img src=x onerror=alert(2)>"
FORMULA = '=HYPERLINK("http://x.example","click")'
NOW = datetime(2026, 5, 1, 12, 0, tzinfo=UTC)
WORDS = report.words()


@pytest.fixture(scope="module")
def full(shared_engine) -> Iterator[ResultsPublic]:  # type: ignore[no-untyped-def]  # an Engine
    """Three candidates with hostile names, two raters, thirty tickets in categories, on several days."""
    with shared_engine.connect() as connection:
        outer = connection.begin()
        with Session(connection, join_transaction_mode="create_savepoint", expire_on_commit=False) as session:
            yield _full(session)
        outer.rollback()


def _full(session: Session) -> ResultsPublic:
    rng = random.Random(2)
    study = write_study(session, [], name="full", title=HOSTILE)
    for i in range(30):
        for rater in ("olena", "marek")[: 1 + i % 2]:
            for slot, (key, mean) in zip("ABC", rng.sample([("a", 4.0), ("b", 3.2), ("c", 2.5)], 3), strict=True):
                score = max(1, min(5, round(rng.gauss(mean, 1))))
                day = datetime(2026, 5, 1 + i % 5, tzinfo=UTC)
                write_rating(session, study, f"t{i}", key, rater, four(score, 3), slot=slot, day=day, category=FORMULA)
    session.exec(select(Candidate).where(Candidate.key == "a")).one().name = HOSTILE
    session.exec(select(Rater).where(Rater.name_key == "olena")).one().name = FORMULA
    session.flush()
    found = service.find_study(session, "full")
    session.connection().exec_driver_sql("INSERT INTO results_dirty (study_id) VALUES (%s)", (found.id,))
    return service.results(session, found, Query(), version=service.current_version(session, found))


@pytest.fixture
def published(session: Session) -> ResultsPublic:
    study = service.find_study(session, "published-2024")
    return service.results(session, study, Query(), version=0)


def every(results: ResultsPublic) -> list[catalogue.Chart]:
    made = (catalogue.overview, catalogue.comparisons, catalogue.raters, catalogue.todo)
    return [chart for make in made for chart in make(results, WORDS)]


def test_every_chart_says_what_stands_behind_it_and_what_it_shows(full: ResultsPublic) -> None:
    charts = {chart.key: chart for chart in every(full)}
    assert set(charts) == {
        "weighted", "distribution", "means", "shares", "contributions", "trend",
        "differences", "per_metric", "sensitivity", "agreement", "severity", "slots", "todo",
    }  # fmt: skip
    for chart in charts.values():
        assert "30 tickets · 135 ratings · 2 raters" in chart.figure.layout.title.subtitle.text, chart.key
        assert len(chart.text) > 20, chart.key
        assert "NaN" not in chart.figure.to_json(), chart.key
        assert chart.table.rows, chart.key


def test_a_candidate_keeps_its_colour_whatever_is_filtered(full: ResultsPublic) -> None:
    whole = style.colours(full)
    part = full.model_copy(update={"candidates": full.candidates[1:]})
    assert style.colours(part) == whole
    assert len(set(whole.values())) == 3


@pytest.mark.parametrize("days", [1, 3, 5])
def test_a_few_days_have_one_tick_each(full: ResultsPublic, days: int) -> None:
    first = sorted({point.day for point in full.trend})[:days]
    part = full.model_copy(update={"trend": [point for point in full.trend if point.day in first]})
    axis = next(chart.figure for chart in every(part) if chart.key == "trend").layout.xaxis
    assert list(axis.tickvals) == first
    assert axis.range[0].date() < first[0]
    assert axis.range[1].date() == first[-1]


def test_bars_of_the_distribution_add_up_and_part_at_the_border(full: ResultsPublic) -> None:
    figure = next(chart.figure for chart in every(full) if chart.key == "distribution")
    for axis in ("x", "x2", "x3", "x4"):
        bars = [trace for trace in figure.data if (trace.xaxis or "x") == axis]
        for row in range(3):
            shares = {int(bar.name): bar.x[row] for bar in bars}
            assert sum(abs(share) for share in shares.values()) == pytest.approx(1)
            assert all((share <= 0) == (score < 3) or share == 0 for score, share in shares.items())


def test_points_lead_to_the_answers_behind_them(full: ResultsPublic) -> None:
    figure = next(chart.figure for chart in every(full) if chart.key == "distribution")
    behind = {str(point[0]) for trace in figure.data for point in trace.customdata}
    assert len(behind) == 3 * 4 * 5
    assert all(re.fullmatch(r"candidate=\w+&metric=\w+&lowest=\d&highest=\d", part) for part in behind)


def test_a_study_without_ratings_has_no_charts(session: Session) -> None:
    study = write_study(session, [])
    empty = service.results(session, study, Query(), version=service.current_version(session, study))
    assert every(empty) == []
    assert verdict.headline(empty, WORDS) == "No verdict yet. There are no ratings yet."
    assert report.write(empty, "html", made_at=NOW)
    assert load_workbook(BytesIO(report.write(empty, "xlsx", made_at=NOW))).sheetnames[0] == "summary"


def test_the_published_study_in_words(published: ResultsPublic) -> None:
    assert verdict.headline(published, WORDS) == (
        "LLaMA-2-7B fine-tuned has the highest weighted score (3.51); whether by chance cannot be told."
    )
    marks = {(row[0], row[1], row[2]): row[5:] for row in tables.printed(published, WORDS).rows}
    short = "The printed counts add up to 102, not to the 124 stated."
    other = "The counts are complete, but their mean is another one."
    assert marks["Mean", "Grammar", "GPT-J-6B fine-tuned"] == ["no", short]
    assert marks["Mean", "Content", "LLaMA-2-7B fine-tuned"] == ["no", other]
    assert marks["Mean", "Style", "GPT-J-6B fine-tuned"] == ["yes", ""]


def test_headlines(full: ResultsPublic) -> None:
    end = r" leads .* by \d\.\d\d \(95% interval −?\d\.\d\d to \d\.\d\d\) on 30 tickets: decided\.$"
    found = full.verdict.model_copy(update={"status": "decided", "more_tickets": 0})
    assert re.search(end, verdict.headline(full.model_copy(update={"verdict": found}), Words()))
    found = full.verdict.model_copy(update={"status": "open", "more_tickets": 83})
    assert verdict.headline(full.model_copy(update={"verdict": found}), Words()).endswith(
        "not decided, about 85 more tickets at this spread."
    )
    found = full.verdict.model_copy(update={"status": "open", "more_tickets": None})
    assert "no number of tickets" in verdict.headline(full.model_copy(update={"verdict": found}), Words())


def test_html_stands_alone_and_escapes(full: ResultsPublic) -> None:
    page = report.write(full, "html", made_at=NOW).decode()
    assert "<script>alert" not in page
    assert "<img src=x" not in page
    assert "&lt;img src=x onerror=alert(2)&gt;" in page
    assert re.findall(r'(?:src|href)="(?!data:)[^"]+"', re.sub(r"<script.*?</script>", "", page, flags=re.DOTALL)) == []
    assert page.count('class="plotly-graph-div"') == len(every(full))


def test_no_cell_is_a_formula(full: ResultsPublic) -> None:
    book = load_workbook(BytesIO(report.write(full, "xlsx", made_at=NOW)))
    cells = [cell for sheet in book for row in sheet.iter_rows() for cell in row]
    assert not [cell for cell in cells if cell.data_type == "f"]
    assert any(cell.value == f"'{FORMULA}" for cell in cells)
    raters = list(csv.reader(StringIO(tables.as_csv(tables.raters(full, WORDS)))))
    assert any(row[0] == f"'{FORMULA}" for row in raters)
    for start in ("=1", "+1", "-1", "@a", "\t=1", " =1", "\r=1"):
        assert str(tables.inert(start)).startswith("'")
    assert (tables.inert(-1.5), tables.inert("plain"), tables.inert(None)) == (-1.5, "plain", None)


def test_json_holds_everything(full: ResultsPublic) -> None:
    loaded = json.loads(report.write(full, "json", made_at=NOW))
    assert ResultsPublic.model_validate(loaded) == full
    for key in ("candidates", "pairs", "friedman", "verdict", "agreement", "raters", "slots", "sensitivity"):
        assert loaded[key], key


def test_charts_need_neither_streamlit_nor_the_backend() -> None:
    code = (
        "import sys, console.charts.catalogue; "
        "sys.exit(any(name.split('.')[0] in {'streamlit', 'backend', 'db', 'torch'} for name in sys.modules))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_from_the_command_line(database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    table = tmp_path / "ratings.csv"
    table.write_text(
        "ticket,model,rater,metric,score\n"
        + "".join(f"{t},{m},{r},style,{1 + (t + len(m)) % 5}\n" for t in range(6) for m in ("x", "yy") for r in "ab"),
        "utf-8",
    )
    import_command.ratings(table, "outside", None, "1-5", database_url)
    assert "6 tickets, 2 models, 2 raters, 1 metrics" in capsys.readouterr().out
    for ending in ("html", "xlsx", "json"):
        report_command.command("outside", tmp_path / f"out.{ending}", None, "", database_url)
    found = ResultsPublic.model_validate_json((tmp_path / "out.json").read_text("utf-8"))
    assert found.size.tickets == 6
    assert found.agreement[0].alpha == pytest.approx(1)
