"""The Results page, against a real backend over a real database."""

from fastapi.testclient import TestClient
from sqlalchemy import Engine
from streamlit.testing.v1 import AppTest

from console.backend_client import BackendClient
from db.session import session_scope
from tests.results.studies import four, write_rating, write_study


def script() -> None:
    from console.app_pages import results

    results.page()


def page(**params: str) -> AppTest:
    made = AppTest.from_function(script, default_timeout=60)
    for key, value in {"study": "pilot", **params}.items():
        made.query_params[key] = value
    return made


def fill(engine: Engine, tickets: int = 3) -> None:
    with session_scope(engine) as session:
        study = write_study(session, [], title="Pilot *one*")
        for i in range(tickets):
            for rater in ("Olena", "Marek"):
                for slot, key, score in (("A", "llama", 4), ("B", "gpt", 2)):
                    scores = four(score + (i + len(rater)) % 2)
                    write_rating(
                        session, study, f"t{i} [link](http://x)", key, rater, scores, slot=slot, category="Payouts"
                    )


def told(made: AppTest) -> str:
    return " ".join(
        element.value  # type: ignore[union-attr]  # these kinds are elements and no blocks
        for kind in ("subheader", "markdown", "caption", "info")
        for element in made.get(kind)
    )


def charts(made: AppTest) -> int:
    return len(made.get("plotly_chart"))


def test_page(api: TestClient, console: BackendClient, db_engine: Engine) -> None:
    """One test: its stages share the database and the backend, which take seconds to make."""
    with session_scope(db_engine) as session:
        write_study(session, [], title="Pilot")
    made = page().run()
    assert not made.exception
    assert "No verdict yet" in told(made)
    assert "There are no ratings yet" in told(made)

    fill(db_engine)
    made.run()
    assert not made.exception
    assert "leads GPT by" in made.subheader[0].value
    assert charts(made) == 6
    assert "3 tickets · 12 ratings · 2 raters" in told(made).replace("\\", "")

    for view, expected in (("comparison", 3), ("raters", 2), ("todo", 0), ("answers", 0), ("tables", 0)):
        made = page(view=view).run()
        assert not made.exception, view
        assert charts(made) >= expected, view
    assert len(page(view="tables").run().dataframe) >= 5

    behind = page(view="answers", behind="metric=content&lowest=5&highest=5").run()
    assert not behind.exception
    assert "\\[link\\]" in told(behind)
    assert told(behind).count("LLAMA") >= 1
    assert "GPT" not in told(behind).replace(behind.subheader[0].value, "")

    filtered = page(source="zoho_desk").run()
    assert not filtered.exception
    assert "0 tickets" in told(filtered)

    moved = page(view="comparison", weights="content:100").run()
    assert not moved.exception
    assert moved.slider(key="results_weight_content").value == 100
    moved.slider(key="results_weight_grammar").set_value(50).run()
    assert moved.query_params["weights"] == "content:100,grammar:50,structure:0,style:0"

    wrong = page(study="nowhere").run()
    assert "There is no study" in wrong.error[0].value

    published = page(study="published-2024", view="printed").run()
    assert not published.exception
    assert "18 of 30 printed figures agree" in told(published)
