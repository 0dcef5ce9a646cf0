"""Results: the verdict first, then the pictures; they change by themselves as ratings come in."""

import streamlit as st

from console import results as source
from console.charts import catalogue, verdict
from console.charts.catalogue import Chart
from console.charts.tables import as_csv
from console.charts.words import Words
from console.i18n import _
from console.wording import explain, literal
from replybench.errors import ReplybenchError, Unavailable
from replybench.results_contract import ResultsPublic

#: How often the backend is asked whether something has changed (seconds). It answers without work if not.
_TICK_S = 2
_CHART = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "zoom2d", "pan2d", "autoScale2d"]}


def page() -> None:
    """Show the study that the address bar names."""
    try:
        results, words = source.load(), source.words()
    except Unavailable as error:
        st.warning(literal(explain(error)))
        _watch()
        return
    except ReplybenchError as error:
        st.error(literal(explain(error)))
        return
    _choose_study(results)
    _verdict(results, words)
    _charts(catalogue.overview(results, words))
    _watch()


@st.fragment(run_every=_TICK_S)
def _watch() -> None:
    """Draw the page anew when its figures have changed; say so when the backend is away."""
    try:
        changed = source.has_changed()
    except ReplybenchError as error:
        st.caption(literal(explain(error)))
        return
    if changed:
        st.rerun()


def _choose_study(results: ResultsPublic) -> None:
    studies = {study.name: study.title for study in source.studies()}
    key = "results_study"
    if st.session_state.get(key) not in studies:
        st.session_state[key] = results.study.name
    st.selectbox(
        _("Study"),
        list(studies),
        key=key,
        format_func=lambda name: literal(studies[name]),
        on_change=_study_chosen,
        width=360,
    )


def _study_chosen() -> None:
    st.query_params.from_dict({"study": st.session_state["results_study"]})


def _verdict(results: ResultsPublic, words: Words) -> None:
    st.subheader(literal(verdict.headline(results, words)), anchor=False)
    st.caption(literal(words.behind(results)))


def _charts(charts: list[Chart]) -> None:
    columns = st.columns(2, gap="large")
    for i, chart in enumerate(charts):
        with columns[i % 2]:
            _draw(chart)


def _draw(chart: Chart) -> None:
    config = {**_CHART, "toImageButtonOptions": {"filename": chart.key, "scale": 2}}
    st.plotly_chart(chart.figure, key=f"results_chart_{chart.key}", config=config, alt=chart.text)
    st.caption(literal(chart.text))
    st.download_button(
        _("CSV"), as_csv(chart.table), f"{chart.key}.csv", "text/csv", key=f"results_csv_{chart.key}", type="tertiary"
    )
