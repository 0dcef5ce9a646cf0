"""`replybench articles`: the help centre that grounded candidates (`retrieval = true`) rest on."""

from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    help="Load or show the help centre for grounded candidates.",
)


@app.command()
def load(
    folder: Annotated[Path, typer.Argument(help="A folder that `replybench prepare` wrote.")],
) -> None:
    """Put a prepared folder's articles into the database, in the place of those that are there."""
    from backend.retrieval.passages import read_articles
    from db.queries_retrieval import replace_passages
    from replybench.commands._operations import operator_session

    passages = list(read_articles(folder))
    with operator_session() as session:
        replace_passages(session, passages)
    articles = len({passage.article_id for passage in passages})
    print(f"{articles} articles are loaded, cut into {len(passages)} passages.")


@app.command()
def show() -> None:
    """Tell what is loaded, by language."""
    from db.queries_retrieval import passage_counts
    from replybench.commands._operations import operator_session

    with operator_session() as session:
        counts = passage_counts(session)
    if not counts:
        print("No articles are loaded. Load them with: replybench articles load FOLDER")
    for language, (articles, passages) in counts.items():
        print(f"{language}: {articles} articles, {passages} passages")
