"""Results: the verdict first, then the pictures; they change by themselves as ratings come in."""

from collections.abc import Callable, Mapping
from functools import partial
from urllib.parse import parse_qsl

import streamlit as st

from console import results as source
from console import results_controls as controls
from console.charts import catalogue, tables, verdict
from console.charts.catalogue import Chart
from console.charts.tables import as_csv
from console.charts.words import Words, behind, names
from console.i18n import _
from console.wording import explain, literal
from replybench.errors import ReplybenchError, Unavailable
from replybench.results_contract import RatedAnswer, ResultsPublic

#: How often the backend is asked whether something has changed (seconds). It answers without work if not.
_TICK_S = 1
_CHART = {"displaylogo": False, "modeBarButtonsToRemove": ["select2d", "lasso2d", "zoom2d", "pan2d", "autoScale2d"]}
_VIEW = "results_view"
_BEHIND = "behind"
_PAGE = 10


def page() -> None:
    """Show the study that the address bar names."""
    try:
        results, words = source.load(), source.words()
        with st.container(horizontal=True, vertical_alignment="bottom"):
            controls.study(results)
            controls.filters(results)
            _downloads(results)
    except Unavailable as error:
        st.warning(literal(explain(error)))
        _watch()
        return
    except ReplybenchError as error:
        st.error(literal(explain(error)))
        st.button(_("Show everything"), on_click=st.query_params.clear)
        return
    _verdict(results, words)
    _section(results, words)
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


def _downloads(results: ResultsPublic) -> None:
    with st.popover(_("Download")):
        for label, form in (
            (_("Report (HTML)"), "html"),
            (_("Workbook (XLSX)"), "xlsx"),
            (_("Figures (JSON)"), "json"),
        ):
            st.download_button(
                label,
                data=partial(source.report, form),
                file_name=f"results-{results.study.name}.{form}",
                key=f"results_download_{form}",
                on_click="ignore",
                width="stretch",
            )


def _verdict(results: ResultsPublic, words: Words) -> None:
    st.subheader(literal(verdict.headline(results, words)), anchor=False)
    st.caption(literal(words.behind(results)), help=verdict.explanation(results, words))
    snapshots = [candidate.name for candidate in results.candidates if candidate.snapshots > 1]
    if snapshots:
        changed = _("Changed during the study (adapter, prompt or settings): {names}.").format(
            names=", ".join(snapshots)
        )
        st.caption(literal(changed))


def _section(results: ResultsPublic, words: Words) -> None:
    """Show the part of the page that the address bar names."""
    sections: dict[str, tuple[str, Callable[[ResultsPublic, Words], None]]] = {
        "scores": (_("Scores"), _scores),
        "comparison": (_("Comparison"), _comparison),
    }
    if results.study.counts_only:
        sections["printed"] = (_("Printed figures"), _printed)
    else:
        sections["raters"] = (_("Raters"), _raters)
        sections["todo"] = (_("To do"), _todo)
        sections["answers"] = (_("Answers"), _answers)
    sections["tables"] = (_("Tables"), _tables)
    if st.session_state.get(_VIEW) not in sections:
        wanted = st.query_params.get("view")
        st.session_state[_VIEW] = wanted if wanted in sections else "scores"
    st.segmented_control(
        _("Part"),
        list(sections),
        key=_VIEW,
        format_func=lambda key: sections[key][0],
        required=True,
        label_visibility="collapsed",
        on_change=lambda: _go(st.session_state[_VIEW]),
    )
    sections[st.session_state[_VIEW]][1](results, words)


def _go(view: str, answers: str = "") -> None:
    """Turn to a part of the page; `answers` says which ones to show there."""
    st.session_state[_VIEW] = view
    st.query_params["view"] = view
    if answers:
        st.query_params[_BEHIND] = answers
    else:
        st.query_params.pop(_BEHIND, None)
    st.session_state.pop("results_offset", None)


def _scores(results: ResultsPublic, words: Words) -> None:
    charts = catalogue.overview(results, words)
    if not charts:
        st.info(
            _(
                "There are no ratings yet. Ask a ticket on the Rate page and score its answers: "
                "they appear here at once."
            )
        )
    _charts(charts)


def _comparison(results: ResultsPublic, words: Words) -> None:
    controls.weights(results, words)
    said = verdict.friedman(results, words)
    if said:
        st.markdown(literal(said))
    _charts(catalogue.comparisons(results, words))


def _raters(results: ResultsPublic, words: Words) -> None:
    charts = catalogue.raters(results, words)
    if not any(chart.key == "agreement" for chart in charts):
        st.info(literal(verdict.agreement(results, words) or _("There are no ratings yet.")))
    _charts(charts)
    if results.raters:
        _table(tables.raters(results, words))


def _todo(results: ResultsPublic, words: Words) -> None:
    charts = catalogue.todo(results, words)
    if not charts:
        st.info(_("The leading candidate has failed on no ticket yet."))
        return
    _charts(charts)
    st.markdown(f"**{_('Read these tickets')}**")
    for item in results.todo.items:
        failed = behind(
            candidate=results.todo.candidate or "",
            metric=results.todo.metric or "",
            failed="true",
            category=item.category,
        )
        label = f"{item.category or _('No category')}: {item.failed} / {item.tickets}"
        key = f"results_todo_{item.category}"
        st.button(literal(label), key=key, type="tertiary", on_click=_go, args=("answers", failed))


def _printed(results: ResultsPublic, words: Words) -> None:
    wrong = sum(not figure.agrees for figure in results.printed)
    st.markdown(
        _(
            "{agree} of {all} printed figures agree with the study's own counts; the others are marked with the reason."
        ).format(agree=len(results.printed) - wrong, all=len(results.printed))
    )
    table = tables.printed(results, words)
    shown = [
        [words.value(cell, 9 if row[1] else 1) if isinstance(cell, float) else cell for cell in row]
        for row in table.rows
    ]
    st.table([dict(zip(table.header, row, strict=True)) for row in shown], hide_index=True, alt=table.title)
    _csv(table, "results_printed_csv")


def _tables(results: ResultsPublic, words: Words) -> None:
    for table in tables.tables(results, words):
        st.markdown(f"**{literal(table.title)}**")
        _table(table)


def _table(table: tables.Table) -> None:
    rows = [dict(zip(table.header, row, strict=True)) for row in table.rows]
    st.dataframe(rows, hide_index=True, alt=table.title, key=f"results_table_{table.key}")
    _csv(table, f"results_table_csv_{table.key}")


def _csv(table: tables.Table, key: str) -> None:
    st.download_button(
        _("CSV"), as_csv(table), f"{table.key}.csv", "text/csv", key=key, type="tertiary", icon=":material/download:"
    )


def _charts(charts: list[Chart]) -> None:
    """Lay the charts out in two columns, each chart in the one that is shorter so far."""
    columns = st.columns(2, gap="large")
    heights = [0, 0]
    for chart in charts:
        shorter = 0 if heights[0] <= heights[1] else 1
        heights[shorter] += int(chart.figure.layout.height) + 110
        with columns[shorter]:
            _draw(chart)


def _draw(chart: Chart) -> None:
    key = f"results_chart_{chart.key}"
    st.plotly_chart(
        chart.figure,
        key=key,
        config={**_CHART, "toImageButtonOptions": {"filename": chart.key, "scale": 2}},
        on_select=partial(_selected, key),
        selection_mode="points",
        alt=chart.text,
    )
    st.caption(literal(chart.text))
    _csv(chart.table, f"results_csv_{chart.key}")


def _selected(key: str) -> None:
    """Turn from a point of a chart to the answers behind it."""
    points = st.session_state[key]["selection"]["points"]
    data = points[0].get("customdata") if points else None
    if data and "=" in str(data[0]):
        _go("answers", str(data[0]))


def _answers(results: ResultsPublic, words: Words) -> None:
    """Show the tickets and answers behind a figure, newest first."""
    asked = dict(parse_qsl(st.query_params.get(_BEHIND, ""), keep_blank_values=True))
    st.markdown(literal(_described(asked, results, words)))
    if asked:
        st.button(_("All answers"), on_click=_go, args=("answers",))
    else:
        st.caption(_("Click a bar or a dot of a chart to see the answers behind it."))
    offset = st.session_state.get("results_offset", 0)
    try:
        found = source.answers(asked, offset, limit=_PAGE)
    except ReplybenchError as error:
        st.error(literal(explain(error)))
        return
    if not found.answers:
        st.info(_("No answer fits."))
    for answer in found.answers:
        _answer(answer, words)
    with st.container(horizontal=True):
        if offset:
            st.button(_("Newer"), on_click=_turn, args=(max(0, offset - _PAGE),))
        if found.next_offset:
            st.button(_("Older"), on_click=_turn, args=(found.next_offset,))


def _turn(offset: int) -> None:
    st.session_state["results_offset"] = offset


def _described(asked: Mapping[str, str], results: ResultsPublic, words: Words) -> str:
    """Return in words which answers are shown."""
    parts = [names(results).get(asked.get("candidate", ""), "")]
    if "lowest" in asked:
        parts.append(_("{metric} scored {score}").format(metric=words.metric(asked["metric"]), score=asked["lowest"]))
    elif "failed" in asked:
        parts.append(_("failed on {metric}").format(metric=words.metric(asked["metric"])))
    if "category" in asked:
        parts.append(asked["category"] or _("No category"))
    if "from" in asked:
        parts.append(asked["from"])
    told = " · ".join(part for part in parts if part)
    return _("Answers behind: {what}").format(what=told) if told else _("All rated answers")


def _answer(answer: RatedAnswer, words: Words) -> None:
    with st.container(border=True):
        st.markdown(f"**{literal(answer.subject or _('No subject'))}**")
        scores = " · ".join(f"{words.metric(metric)} {score}" for metric, score in sorted(answer.scores.items()))
        facts = [answer.candidate, answer.rater, answer.category, controls.source_name(answer.source), scores]
        st.caption(literal(" · ".join(fact for fact in facts if fact)))
        asked, written = st.columns(2, gap="medium")
        with asked:
            st.caption(_("Ticket"))
            st.markdown(_plain(answer.question))
        with written:
            st.caption(_("Answer"))
            st.markdown(_plain(answer.answer))
        if answer.comment:
            st.caption(_("Comment"))
            st.markdown(_plain(answer.comment))


def _plain(text: str) -> str:
    """Return a text as it is, line by line; a long one is cut."""
    cut = text if len(text) <= 3000 else f"{text[:3000]} …"
    return literal(cut).replace("\n", "  \n") or "–"
