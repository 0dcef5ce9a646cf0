"""Studies: a lead makes, opens and closes them, fills their queues, and sees how far raters are."""

import streamlit as st

from console import sign_in, study_form
from console import studies as source
from console.charts import studies as charts
from console.i18n import _, current_language, ngettext
from console.wording import explain, literal
from replybench.contract import FlagPublic, StudyPublic
from replybench.errors import InvalidInput, ReplybenchError
from replybench.queue_contract import MAX_INSTRUCTIONS, MAX_OVERLAP, StudyChange, StudyProgress
from replybench.ticket_files import MAX_FILE_BYTES, read

#: How often progress is asked for (seconds).
_TICK_S = 3.0
_CHART = {"displayModeBar": False}
_STUDY = "studies_study"
_TOLD = "studies_told"
_FILE = "studies_file"
_UPLOADS = "studies_uploads"


def page() -> None:
    """Show the study that is chosen, and the form for a new one."""
    try:
        studies = source.studies()
        in_use = source.lineup().name
    except ReplybenchError as error:
        st.error(literal(explain(error)))
        return
    by_name = {study.name: study for study in studies}
    told = st.session_state.pop(_TOLD, None)
    with st.container(horizontal=True, vertical_alignment="bottom"):
        if by_name:
            _choose(by_name)
        if st.button(_("New study"), icon=":material/add:"):
            st.dialog(_("New study"), width="large")(study_form.form)(_made)
    if told:
        (st.success if told[0] else st.error)(literal(told[1]))
    if not by_name:
        st.info(_("There is no study yet. Make one: it collects the ratings of one question that you want answered."))
        return
    study = by_name[st.session_state[_STUDY]]
    _summary(study, in_use)
    st.fragment(_progress, run_every=_TICK_S)(study)
    left, right = st.columns(2, gap="large")
    with left:
        _add_tickets(study)
    with right:
        _what_raters_read(study)
    _flags(study)


def _choose(by_name: dict[str, StudyPublic]) -> None:
    if st.session_state.get(_STUDY) not in by_name:
        wanted = st.query_params.get("study")
        current = next((name for name, study in by_name.items() if study.is_current), next(iter(by_name)))
        st.session_state[_STUDY] = wanted if wanted in by_name else current
    st.selectbox(
        _("Study"),
        list(by_name),
        key=_STUDY,
        format_func=lambda name: f"{by_name[name].title} · {_state(by_name[name])}",
        on_change=lambda: st.query_params.from_dict({"study": st.session_state[_STUDY]}),
        width=560,
    )


def _state(study: StudyPublic) -> str:
    if study.is_current:
        return _("open, takes new tickets")
    return {"draft": _("draft"), "open": _("open"), "closed": _("closed")}[study.state]


def _made(study: StudyPublic) -> None:
    """Turn to a study that has just been made."""
    st.session_state.pop(_STUDY, None)  # the box takes what the address says
    st.query_params["study"] = study.name
    _say(_("'{title}' is a draft. Add tickets, then open it.").format(title=study.title))


def _say(message: str, *, ok: bool = True) -> None:
    """Show a sentence at the top of the next run."""
    st.session_state[_TOLD] = (ok, message)


# ---------------------------------------------------------------------- what it is, opening and closing


def _summary(study: StudyPublic, in_use: str) -> None:
    names = {metric.key: metric.name for metric in study_form.metrics(current_language())}
    order = {key: at for at, key in enumerate(names)}  # the database does not keep one
    shares = sorted(study.weights.items(), key=lambda item: order.get(item[0], len(order)))
    weights = ", ".join(f"{names.get(key, key)} {share:.0%}" for key, share in shares)
    facts = [
        _("Lineup: {name}").format(name=study.lineup or in_use),
        *([_("Candidates: {names}").format(names=", ".join(study.candidates))] if study.candidates else []),
        ngettext("{count} rater per ticket", "{count} raters per ticket", study.overlap),
        weights,
    ]
    st.caption(literal(" · ".join(facts)))
    wrong_lineup = study.lineup not in {None, in_use}
    if wrong_lineup and study.state != "closed":
        st.warning(
            literal(
                _("This study is for the lineup '{wanted}', and '{used}' is in use.").format(
                    wanted=study.lineup, used=in_use
                )
            )
        )
    with st.container(horizontal=True):
        if wrong_lineup and not study.is_open:
            label = _("Change the lineup and open")
            mine = sign_in.may_change_lineup()
            st.button(label, on_click=_open, args=(study, True), disabled=not mine)
            if not mine:
                st.caption(_("Changing the lineup is for admins. Ask one to open this study."))
        elif not study.is_open:
            st.button(_("Open the study"), on_click=_open, args=(study, False), icon=":material/play_arrow:")
        elif not study.is_current:
            st.button(_("Let it take new tickets"), on_click=_open, args=(study, False))
        if study.is_open:
            st.button(_("Close the study"), on_click=_close, args=(study,), icon=":material/stop:")


def _open(study: StudyPublic, switch_lineup: bool) -> None:
    wanted = StudyChange(is_open=True, switch_lineup=switch_lineup)
    _change(study, wanted, _("'{title}' is open, and takes the tickets that are asked from now on."))


def _close(study: StudyPublic) -> None:
    _change(study, StudyChange(is_open=False), _("'{title}' is closed. Its ratings and results stay."))


def _change(study: StudyPublic, wanted: StudyChange, done: str) -> None:
    try:
        changed = source.change(study.name, wanted)
    except ReplybenchError as error:
        _say(explain(error), ok=False)
        return
    _say(done.format(title=changed.title))


# ---------------------------------------------------------------------- progress


def _progress(study: StudyPublic) -> None:
    """Draw how far the study is; this alone runs again and again."""
    try:
        now = source.progress(study.name)
    except ReplybenchError as error:
        st.caption(literal(explain(error)))
        return
    _halted(now)
    left, right = st.columns(2, gap="large")
    with left:
        _queue(now)
    with right:
        _raters(now)


def _halted(now: StudyProgress) -> None:
    if now.halted == "lineup":
        st.warning(_("Tickets wait, and no answers are made: the study's lineup is not in use."))
    elif now.halted == "closed":
        st.info(_("Tickets without answers are left, because the study is closed."))


def _queue(now: StudyProgress) -> None:
    text = source.in_words(now.queue)
    if not now.queue.tickets:
        st.info(_("The queue is empty. Add tickets below: they are answered in advance, and handed to raters."))
        return
    title = _("{share}% of the queue is done").format(share=source.share_done(now.queue))
    figure = charts.queue(
        source.places(now.queue), title, ngettext("{count} ticket", "{count} tickets", now.queue.tickets)
    )
    st.plotly_chart(figure, key="studies_chart_queue", config=_CHART, alt=text)
    st.caption(literal(text))
    if now.queue.failed:
        st.button(_("Try the failed tickets again"), on_click=_retry, args=(now.study,))


def _retry(study: str) -> None:
    try:
        count = source.retry(study)
    except ReplybenchError as error:
        _say(explain(error), ok=False)
        return
    _say(ngettext("{count} ticket is tried again.", "{count} tickets are tried again.", count))


def _raters(now: StudyProgress) -> None:
    if not now.raters:
        st.info(_("Nobody has rated in this study yet."))
        return
    counted = ngettext("{count} rater", "{count} raters", len(now.raters))
    figure = charts.raters(now.raters, _("Tickets by rater"), counted, _("rated"), _("skipped"))
    rows = source.rater_rows(now.raters)
    told = "; ".join(f"{rater.name}: {rater.rated}" for rater in now.raters)
    st.plotly_chart(figure, key="studies_chart_raters", config=_CHART, alt=f"{_('Tickets rated')}: {told}")
    st.dataframe(rows, hide_index=True, width="stretch")


# ---------------------------------------------------------------------- tickets in


def _add_tickets(study: StudyPublic) -> None:
    st.subheader(_("Add tickets"), anchor=False)
    if study.state == "closed":
        st.caption(_("A closed study takes no tickets."))
        return
    st.caption(
        _(
            "CSV with a column text (and perhaps subject, id, category, language), or JSON lines. "
            "Personal data are replaced before anything is stored; a ticket that is there already stays one."
        )
    )
    upload = st.file_uploader(
        _("File of tickets"),
        type=["csv", "jsonl", "ndjson"],
        key=f"{_FILE}_{st.session_state.setdefault(_UPLOADS, 0)}",
        max_upload_size=MAX_FILE_BYTES >> 20,
        label_visibility="collapsed",
    )
    if upload is None:
        return
    try:
        tickets = read(upload.name, upload.getvalue())
    except InvalidInput as error:
        st.error(literal(f"{_('The file cannot be used.')} {error.message}"))
        return
    label = ngettext("Add {count} ticket", "Add {count} tickets", len(tickets))
    if st.button(label, icon=":material/playlist_add:"):
        bar = st.progress(0.0, text=_("Storing…"))
        try:
            for done in source.take_in(study.name, tickets):
                bar.progress((done.added + done.known) / len(tickets), text=_("Storing…"))
        except ReplybenchError as error:
            st.error(literal(explain(error)))
            return
        st.session_state[_UPLOADS] += 1  # an empty field for the next file
        _say(_("{added} tickets added, {known} were there already.").format(added=done.added, known=done.known))
        st.rerun()


# ---------------------------------------------------------------------- what is said to raters


def _what_raters_read(study: StudyPublic) -> None:
    st.subheader(_("What raters read"), anchor=False)
    with st.form(f"studies_form_{study.name}", border=False):
        title = st.text_input(_("Title"), study.title, max_chars=200)
        instructions = st.text_area(
            _("Instructions"), study.instructions, max_chars=MAX_INSTRUCTIONS, help=_("Shown above every ticket.")
        )
        overlap = st.number_input(_("Raters per ticket"), 1, MAX_OVERLAP, study.overlap)
        if st.form_submit_button(_("Save")) and title.strip():
            _change(study, StudyChange(title=title.strip(), instructions=instructions, overlap=overlap), _("Saved."))
            st.rerun()


# ---------------------------------------------------------------------- flagged answers


def _flags(study: StudyPublic) -> None:
    st.subheader(_("Flagged answers"), anchor=False)
    try:
        flags = source.flags(study.name)
    except ReplybenchError as error:
        st.caption(literal(explain(error)))
        return
    if not flags:
        st.caption(_("No answer of this study has been flagged."))
    for flag in flags:
        _flag(flag)


def _flag(flag: FlagPublic) -> None:
    kind = {"harmful": _("harmful"), "personal_data": _("contains personal data")}[flag.kind]
    raters = ngettext("{count} rater", "{count} raters", flag.raters)
    with st.expander(literal(f"{kind} · {flag.candidate} · {raters}")):
        st.caption(literal(flag.subject or _("No subject")))
        st.text(flag.answer)
