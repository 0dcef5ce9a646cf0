"""What can be chosen on the Results page. All of it is in the address bar, so that a view can be shared."""

from collections.abc import Mapping
from datetime import date

import streamlit as st

from console import results as source
from console.charts.words import Words
from console.i18n import _
from console.wording import literal
from replybench.results_contract import ResultsPublic

_ALL = ""


def study(results: ResultsPublic) -> None:
    """Offer the studies."""
    titles = {found.name: found.title for found in source.studies()}
    key = "results_study"
    if st.session_state.get(key) not in titles:
        st.session_state[key] = results.study.name
    st.selectbox(
        _("Study"),
        list(titles),
        key=key,
        format_func=lambda name: titles[name],
        on_change=lambda: st.query_params.from_dict({"study": st.session_state[key]}),
        width=340,
    )


def filters(results: ResultsPublic) -> None:
    """Offer the filters, and say which are set."""
    if results.study.counts_only:
        return
    choices = results.choices
    active = [key for key in ("candidate", "rater", "source", "language", "from", "to") if st.query_params.get(key)]
    label = _("Filters ({count})").format(count=len(active)) if active else _("Filters")
    with st.popover(label):
        _several(_("Candidates"), "candidate", {choice.value: choice.label for choice in choices.candidates})
        _one(_("Rater"), "rater", {choice.value: choice.label for choice in choices.raters})
        _one(_("Source"), "source", {choice.value: source_name(choice.value) for choice in choices.sources})
        _one(_("Language"), "language", {choice.value: choice.label for choice in choices.languages})
        first, last = st.columns(2)
        with first:
            _day(_("From"), "from", choices.first_day, choices.last_day)
        with last:
            _day(_("To"), "to", choices.first_day, choices.last_day)
        st.button(_("Clear filters"), on_click=_clear, disabled=not active)


def source_name(source: str) -> str:
    """Return what people call a door through which tickets come."""
    names = {
        "console": _("Console"),
        "zoho_crm": "Zoho CRM",
        "zoho_desk": "Zoho Desk",
        "api": "API",
        "cli": _("Command line"),
        "import": _("Import"),
    }
    return names.get(source, source)


def weights(results: ResultsPublic, words: Words) -> None:
    """Offer to move the weights; the study's own are the default."""
    st.markdown(f"**{_('What if the metrics weighed otherwise?')}**")
    columns = st.columns(len(results.metrics) or 1)
    for column, metric in zip(columns, results.metrics, strict=False):
        key = f"results_weight_{metric.key}"
        if key not in st.session_state:
            st.session_state[key] = round(100 * metric.weight)
        with column:
            st.slider(
                literal(words.metric(metric.key)),
                0,
                100,
                key=key,
                format="%d%%",
                on_change=_weights_moved,
                args=([m.key for m in results.metrics],),
            )
    own = ", ".join(f"{words.metric(m.key)} {words.percent(m.own_weight, 0)}" for m in results.metrics)
    if st.query_params.get("weights"):
        now = ", ".join(f"{words.metric(m.key)} {words.percent(m.weight, 0)}" for m in results.metrics)
        st.caption(literal(_("Now: {now}. The study's own: {own}.").format(now=now, own=own)))
        st.button(
            _("Back to the study's own weights"),
            on_click=_weights_reset,
            args=({m.key: m.own_weight for m in results.metrics},),
        )
    else:
        st.caption(literal(_("The study's own weights: {own}.").format(own=own)))


def _weights_moved(metrics: list[str]) -> None:
    moved = {metric: st.session_state[f"results_weight_{metric}"] for metric in metrics}
    if sum(moved.values()) > 0:
        st.query_params["weights"] = ",".join(f"{metric}:{weight}" for metric, weight in moved.items())


def _weights_reset(own: Mapping[str, float]) -> None:
    st.query_params.pop("weights", None)
    for metric, weight in own.items():
        st.session_state[f"results_weight_{metric}"] = round(100 * weight)


def _several(label: str, parameter: str, options: Mapping[str, str]) -> None:
    key = f"results_{parameter}"
    if key not in st.session_state:
        wanted = (st.query_params.get(parameter) or "").split(",")
        st.session_state[key] = [value for value in wanted if value in options]
    st.multiselect(
        label,
        list(options),
        key=key,
        format_func=lambda value: options.get(value, value),
        on_change=lambda: _set(parameter, ",".join(st.session_state[key])),
        placeholder=_("All"),
    )


def _one(label: str, parameter: str, options: Mapping[str, str]) -> None:
    key = f"results_{parameter}"
    if st.session_state.get(key) not in (_ALL, *options):
        wanted = st.query_params.get(parameter, _ALL)
        st.session_state[key] = wanted if wanted in options else _ALL
    st.selectbox(
        label,
        [_ALL, *options],
        key=key,
        format_func=lambda value: options.get(value) or _("All"),
        on_change=lambda: _set(parameter, st.session_state[key]),
    )


def _day(label: str, parameter: str, first: date | None, last: date | None) -> None:
    key = f"results_{parameter}"
    if key not in st.session_state:
        try:
            st.session_state[key] = date.fromisoformat(st.query_params.get(parameter, ""))
        except ValueError:
            st.session_state[key] = None
    chosen: date | None = st.session_state[key]
    known = [day for day in (first, last, chosen) if day is not None]
    st.date_input(
        label,
        key=key,
        min_value=min(known, default=None),
        max_value=max(known, default=None),
        on_change=lambda: _set(parameter, str(st.session_state[key] or "")),
    )


def _set(parameter: str, value: str) -> None:
    if value:
        st.query_params[parameter] = value
    else:
        st.query_params.pop(parameter, None)


def _clear() -> None:
    for parameter in ("candidate", "rater", "source", "language", "from", "to"):
        st.query_params.pop(parameter, None)
        st.session_state.pop(f"results_{parameter}", None)
