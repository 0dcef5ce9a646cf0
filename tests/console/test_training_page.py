"""The Training page: runs over one another, live, with the study's settling values."""

import json
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from streamlit.testing.v1 import AppTest

from console import state
from console.backend_client import BackendClient
from console.charts.training import losses
from console.settings import ConsoleSettings
from console.training import Curve
from replybench.training_contract import TrainingMetrics, TrainingRunList, TrainingRunPublic, TrainingStep

NOW = datetime(2024, 5, 1, 12, tzinfo=UTC)


def a_run(name: str = "demo-threads", step: int = 2, **changes: Any) -> TrainingRunPublic:
    return TrainingRunPublic(
        **{
            "name": name,
            "kind": "sft",
            "base": "embedded",
            "method": "lora",
            "status": "running",
            "error": None,
            "step": step,
            "total_steps": 64,
            "dataset_fingerprint": "f" * 64,
            "summary": {},
            "started_at": NOW,
            "updated_at": NOW,
            "finished_at": None,
            **changes,
        }
    )


class Trainings(httpx.BaseTransport):
    """A backend that knows of runs, and notes what it was asked."""

    def __init__(self, *runs: TrainingRunPublic) -> None:
        self.runs = {run.name: run for run in runs}
        self.steps = {run.name: [TrainingStep(step=0, values={"eval_loss": 3.5})] for run in runs}
        self.asked: list[str] = []

    def add(self, name: str, step: int, **values: float) -> None:
        self.steps[name].append(TrainingStep(step=step, values=values))
        self.runs[name] = self.runs[name].model_copy(update={"step": step})

    def handle_request(self, request: httpx.Request) -> httpx.Response:
        self.asked.append(f"{request.url.path}?{request.url.query.decode()}")
        if request.url.path == "/api/training/runs":
            return httpx.Response(200, json=TrainingRunList(runs=list(self.runs.values())).model_dump(mode="json"))
        name, since = request.url.path.split("/")[4], int(request.url.params["since_step"])
        steps = [step for step in self.steps[name] if step.step > since]
        return httpx.Response(200, json=TrainingMetrics(run=self.runs[name], steps=steps).model_dump(mode="json"))


@pytest.fixture
def trainings(monkeypatch: pytest.MonkeyPatch) -> Trainings:
    transport = Trainings(a_run(), a_run("demo-both", status="failed", error="The loss is not a number."))
    client = BackendClient(ConsoleSettings(api_key="k" * 20, _env_file=None), transport=transport)
    monkeypatch.setattr(state, "backend", lambda: client)
    return transport


def training() -> None:
    from console.app_pages import training

    training.page()


def figures(page: AppTest) -> list[dict[str, Any]]:
    return [json.loads(chart.proto.spec) for chart in page.get("plotly_chart")]


def test_two_runs_lie_over_one_another_with_the_studys_values(trainings: Trainings) -> None:
    trainings.add("demo-threads", 1, loss=3.4, learning_rate=1e-3, tokens_per_second=50, memory_mib=4000)
    page = AppTest.from_function(training, default_timeout=30).run()
    assert not page.exception
    drawn = figures(page)
    assert len(drawn) == 4
    assert len(drawn[0]["data"]) == 4
    lines = [shape["y0"] for shape in drawn[0]["layout"]["shapes"]]
    assert lines == [1.4, 1.2]
    assert "The loss is not a number" in page.error[0].value.replace("\\", "")


def test_only_what_is_new_is_asked_for(trainings: Trainings) -> None:
    page = AppTest.from_function(training, default_timeout=30).run()
    trainings.add("demo-threads", 1, loss=3.4)
    trainings.add("demo-threads", 2, loss=3.3, eval_loss=3.2)
    page.run()
    trainings.asked.clear()
    trainings.add("demo-threads", 3, loss=3.1)
    page.run()
    assert "/api/training/runs/demo-threads/metrics?since_step=1" in trainings.asked
    loss = figures(page)[0]["data"][0]
    assert loss["y"] == [3.4, 3.3, 3.1] or loss["y"]["bdata"]


def test_without_a_run_it_says_how_to_start_one(monkeypatch: pytest.MonkeyPatch) -> None:
    client = BackendClient(ConsoleSettings(api_key="k" * 20, _env_file=None), transport=Trainings())
    monkeypatch.setattr(state, "backend", lambda: client)
    page = AppTest.from_function(training, default_timeout=30).run()
    assert "replybench train" in page.info[0].value


def test_a_run_that_began_anew_replaces_its_old_curve(trainings: Trainings) -> None:
    page = AppTest.from_function(training, default_timeout=30)
    trainings.add("demo-threads", 9, loss=1.0)
    page.run()
    later = NOW.replace(hour=13)
    trainings.steps["demo-threads"] = [TrainingStep(step=0, values={"eval_loss": 3.9})]
    trainings.runs["demo-threads"] = a_run(step=0, started_at=later)
    page.run()
    page.run()
    held = page.session_state["training_held"]["demo-threads"]
    assert 9 not in held.steps


def test_markup_in_a_name_stays_text() -> None:
    figure = losses([Curve(a_run("<b>x</b>"))], "Loss", "", {k: k for k in ("loss", "eval_loss", "step", "study")})
    assert figure.data[0].name.startswith("&lt;b&gt;")
