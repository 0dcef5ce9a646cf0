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
    """Put a prepared folder's articles into the database, in the place of those that are there.

    With EMBEDDING_MODEL set, passages get embeddings too, so that they are found by meaning as well as by words.
    """
    from backend.retrieval.passages import read_articles
    from db.queries_retrieval import replace_passages, store_embeddings
    from replybench.commands._operations import embedding_model, operator_session
    from replybench.embeddings import Encoder

    passages, model = list(read_articles(folder)), embedding_model()
    with operator_session() as session:
        replace_passages(session, passages)
        if model:
            store_embeddings(session, model, Encoder(model).encode)
    articles = len({passage.article_id for passage in passages})
    by_meaning = f", embedded by {model}" if model else ""
    print(f"{articles} articles are loaded, cut into {len(passages)} passages{by_meaning}.")


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
