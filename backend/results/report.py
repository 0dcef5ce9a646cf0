"""A study's results as one file: HTML that needs nothing else, a workbook, or JSON."""

import re
from collections.abc import Mapping
from datetime import datetime
from html import escape
from io import BytesIO
from typing import Literal

from console.charts import catalogue, tables, verdict
from console.charts.catalogue import Chart
from console.charts.tables import Cell, Table
from console.charts.words import Words
from replybench.results_contract import ResultsPublic
from replybench.rubric import rubric

Format = Literal["html", "xlsx", "json"]
MEDIA_TYPES: Mapping[Format, str] = {
    "html": "text/html; charset=utf-8",
    "xlsx": "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
    "json": "application/json",
}

#: A table with more rows is folded in; a text of fewer letters is not broken.
_LONG, _SHORT = 30, 32

_STYLE = """
:root { color-scheme: light; --ink: #1b2529; --soft: #5c6b73; --line: #d5dcdf; --accent: #0f6674; }
* { box-sizing: border-box; }
body { font: 15px/1.5 system-ui, -apple-system, 'Segoe UI', Roboto, 'Liberation Sans', sans-serif; color: var(--ink);
  max-width: 1180px; margin: 0 auto; padding: 24px 20px 60px; background: #fff; }
h1 { font-size: 1.7rem; margin: 0 0 .2rem; } h2 { font-size: 1.25rem; margin: 2.4rem 0 .4rem; }
.verdict { font-size: 1.25rem; font-weight: 600; border-left: 4px solid var(--accent); padding: .3rem 0 .3rem .9rem;
  margin: 1.2rem 0 .6rem; }
.soft, figcaption { color: var(--soft); font-size: .92rem; }
.charts { columns: 2 480px; column-gap: 36px; }
figure { margin: 0 0 22px; break-inside: avoid; }
.scroll { overflow-x: auto; } table { border-collapse: collapse; font-size: .88rem; margin: .3rem 0 1rem; }
th, td { border-bottom: 1px solid var(--line); padding: .3rem .6rem; text-align: left; vertical-align: top; }
th { vertical-align: bottom; } td { min-width: 4rem; max-width: 24rem; } td.t { white-space: nowrap; }
summary { cursor: pointer; font-weight: 600; margin: 1rem 0 .3rem; }
td.n { text-align: right; font-variant-numeric: tabular-nums; white-space: nowrap; }
"""

#: The columns are laid out after the first picture is drawn, which then does not know its width.
_FIT = (
    "addEventListener('load', () => document.querySelectorAll('.js-plotly-plot').forEach(p => Plotly.Plots.resize(p)));"
)


def words() -> Words:
    """Return English, with the rubric's names of the metrics."""
    return Words(metrics={metric.key: metric.en.name for metric in rubric().metrics})


def file_name(results: ResultsPublic, form: Format) -> str:
    """Return a name that every file system and header takes."""
    return re.sub(r"[^A-Za-z0-9._-]+", "-", f"results-{results.study.name}.{form}")


def write(results: ResultsPublic, form: Format, *, made_at: datetime) -> bytes:
    """Return the report as the bytes of one file."""
    if form == "json":
        return results.model_dump_json(indent=2).encode() + b"\n"
    return _html(results, made_at) if form == "html" else _workbook(results, made_at)


def _html(results: ResultsPublic, made_at: datetime) -> bytes:
    from plotly.offline import get_plotlyjs  # type: ignore[import-untyped]  # Plotly ships no types

    speech = words()
    parts = [
        f"<h1>{escape(results.study.title)}</h1>",
        f'<p class="soft">{escape(_caption(results, speech, made_at))}</p>',
        f'<p class="verdict">{escape(verdict.headline(results, speech))}</p>',
        f"<p>{escape(verdict.explanation(results, speech))}</p>",
    ]
    for title, charts, note in (
        ("Scores", catalogue.overview(results, speech), ""),
        ("Comparison", catalogue.comparisons(results, speech), verdict.friedman(results, speech)),
        ("Raters", catalogue.raters(results, speech), _said(verdict.agreement(results, speech), results)),
        ("To do", catalogue.todo(results, speech), ""),
    ):
        if charts or note:
            parts.append(f"<h2>{title}</h2>")
            parts.append(f"<p>{escape(note)}</p>" if note else "")
            parts.append(f'<div class="charts">{"".join(_figure(chart) for chart in charts)}</div>' if charts else "")
    parts.append("<h2>Tables</h2>")
    parts.extend(_html_table(table, speech) for table in tables.tables(results, speech))
    page = (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>{escape(results.study.title)}: results</title><style>{_STYLE}</style>"
        f"<script>{get_plotlyjs()}</script><script>{_FIT}</script></head><body>{''.join(parts)}</body></html>\n"
    )
    return page.encode()


def _said(agreement: str, results: ResultsPublic) -> str:
    """Return the agreement's sentence where no chart says it."""
    return "" if any(entry.alpha is not None for entry in results.agreement) else agreement


def _figure(chart: Chart) -> str:
    config = {"displaylogo": False, "responsive": True, "toImageButtonOptions": {"filename": chart.key, "scale": 2}}
    picture = chart.figure.to_html(full_html=False, include_plotlyjs=False, div_id=f"chart-{chart.key}", config=config)
    label = escape(chart.text, quote=True)
    caption = f"<figcaption>{escape(chart.text)}</figcaption>"
    return f'<figure><div role="img" aria-label="{label}">{picture}</div>{caption}</figure>'


def _caption(results: ResultsPublic, speech: Words, made_at: datetime) -> str:
    filters = {key: value for key, value in results.filters.model_dump(mode="json").items() if value}
    shown = "; ".join(f"{key.replace('_', ' ')}: {value}" for key, value in filters.items())
    moved = any(abs(metric.weight - metric.own_weight) > 1e-9 for metric in results.metrics)
    weights = ", ".join(f"{speech.metric(m.key)} {m.weight:.2f}" for m in results.metrics)
    return " · ".join(
        part
        for part in (
            f"Study {results.study.name}",
            speech.behind(results),
            f"weights {'(not the study’s own) ' if moved else ''}{weights}",
            f"only {shown}" if shown else "",
            f"made {made_at:%Y-%m-%d %H:%M} UTC",
        )
        if part
    )


def _html_table(table: Table, speech: Words) -> str:
    head = "".join(f"<th>{escape(cell)}</th>" for cell in table.header)
    rows = "".join(f"<tr>{''.join(_html_cell(cell, speech) for cell in row)}</tr>" for row in table.rows)
    return (
        f"<details{'' if len(table.rows) > _LONG else ' open'}><summary>{escape(table.title)}</summary>"
        f'<div class="scroll"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table></div></details>'
    )


def _html_cell(cell: Cell, speech: Words) -> str:
    if cell is None:
        return "<td></td>"
    if isinstance(cell, str):
        return f"<td{' class=t' if len(cell) < _SHORT else ''}>{escape(cell)}</td>"
    return f'<td class="n">{speech.number(cell, 3) if isinstance(cell, float) else cell}</td>'


def _workbook(results: ResultsPublic, made_at: datetime) -> bytes:
    from openpyxl import Workbook  # type: ignore[import-untyped]  # openpyxl ships no types
    from openpyxl.styles import Font  # type: ignore[import-untyped]  # openpyxl ships no types
    from openpyxl.utils import get_column_letter  # type: ignore[import-untyped]  # openpyxl ships no types

    speech = words()
    about = Table(
        "summary",
        results.study.title,
        ["Results", results.study.title],
        [
            ["Verdict", verdict.headline(results, speech)],
            ["What it means", verdict.explanation(results, speech)],
            ["Behind it", _caption(results, speech, made_at)],
            ["Friedman", verdict.friedman(results, speech)],
            ["Agreement", verdict.agreement(results, speech)],
        ],
    )
    book = Workbook()
    book.remove(book.active)
    for table in (about, *tables.tables(results, speech)):
        sheet = book.create_sheet(table.key)
        for row, cells in enumerate([table.header, *table.rows], start=1):
            for column, cell in enumerate(cells, start=1):
                _put(sheet.cell(row=row, column=column), cell)
        for column, title in enumerate(table.header, start=1):
            sheet.cell(row=1, column=column).font = Font(bold=True)
            longest = max([len(str(title)), *(len(str(row[column - 1] or "")) for row in table.rows)])
            sheet.column_dimensions[get_column_letter(column)].width = min(max(longest + 2, 10), 60)
        sheet.freeze_panes = "A2"
    out = BytesIO()
    book.save(out)
    return out.getvalue()


def _put(place, cell: Cell) -> None:  # type: ignore[no-untyped-def]  # an openpyxl cell, which has no types
    """Write a cell; a text stays a text, whatever it begins with."""
    if isinstance(cell, str):
        cell = "".join(
            letter for letter in cell if letter >= " " or letter in "\n\t"
        )  # a workbook cannot hold the rest
        place.value = tables.inert(cell)
        place.data_type = "s"
        return
    place.value = cell
