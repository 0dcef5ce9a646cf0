"""The same answer again: greedy answers alone and in a batch of eight, float32, bfloat16 and the fast engine."""

import asyncio
import html
import json
import re
import statistics
from collections.abc import Sequence
from typing import Any

from backend.engines.base import Job
from backend.engines.threads import wait_politely
from benchmarks.fast_path import ROOT, candidates, settings
from benchmarks.figures import Figure
from replybench.lineups import Candidate, Generation
from replybench.prompts import Turn

TOKENS = 48
BATCH = 8
TICKETS = 32
#: What an answer is alone and in a batch.
Pairs = list[tuple[list[int], list[int]]]


def run() -> list[Figure]:
    """Let the demo's candidates answer the demo's tickets twice, and count what differs."""
    wait_politely()
    asked = _asked()
    return [
        _figure(f"transformers, float32, in a batch of {BATCH}", _transformers(asked, "float32"), target=0.0),
        _figure(f"transformers, bfloat16, in a batch of {BATCH}", _transformers(asked, "bfloat16")),
        *_fast_figures(asked),
    ]


def _asked() -> list[tuple[str, str]]:
    """Return (candidate key, ticket); the candidates in turn, so that batches are mixed."""
    lines = (ROOT / "demo" / "helpdesk" / "tickets-1.jsonl").read_text("utf-8").splitlines()
    rows = [json.loads(line) for line in lines]
    texts = [_plain(row["turns"][0]["html"]) for row in rows if "html" in row["turns"][0]][:TICKETS]
    keys = [candidate.key for candidate in candidates("transformers")]
    return [(keys[at % len(keys)], text) for at, text in enumerate(texts)]


def _plain(html_text: str) -> str:
    return " ".join(html.unescape(re.sub(r"<[^>]+>", " ", html_text)).split())


def _of(engine: str, **changes: Any) -> dict[str, Candidate]:
    changes["generation"] = Generation(max_new_tokens=TOKENS)
    return {candidate.key: candidate.model_copy(update=changes) for candidate in candidates(engine)}


def _transformers(asked: Sequence[tuple[str, str]], dtype: str) -> Pairs:
    from backend.engines.local_model import load
    from backend.engines.prompt_tokens import PromptEncoder
    from backend.engines.rows import Row, WatchRows

    known = _of("transformers", dtype=dtype)
    model = load(list(known.values()), settings(), print)
    encoder = PromptEncoder(model.tokenizer)

    def row(key: str, text: str) -> Row:
        wanted = Job(known[key], "", (Turn("customer", text),))
        return Row(
            prompt=encoder.encode(wanted, known[key].max_prompt_tokens).ids,
            was_cut=False,
            adapter=model.adapter_name(known[key]),
            limit=TOKENS,
            settings=wanted.settings,
            markers=(),
            tokenizer=model.tokenizer,
            emit=lambda _: None,
        )

    def write(chosen: Sequence[tuple[str, str]]) -> list[list[int]]:
        rows = [row(*pair) for pair in chosen]
        model.write(rows, WatchRows(rows, model.ends, lambda _: False))
        return [found.written for found in rows]

    alone = [write([pair])[0] for pair in asked]
    together = [ids for at in range(0, len(asked), BATCH) for ids in write(asked[at : at + BATCH])]
    return list(zip(alone, together, strict=True))


def _fast_figures(asked: Sequence[tuple[str, str]]) -> list[Figure]:
    figures = []
    for dtype, target in (("float32", 0.0), ("auto", None)):
        alone, again, together = asyncio.run(_fast(asked, dtype))
        name = "fast engine" + (", float32" if dtype == "float32" else "")
        figures += [
            _figure(f"{name}, alone again", list(zip(alone, again, strict=True)), target=target),
            _figure(f"{name}, in a batch of {BATCH}", list(zip(alone, together, strict=True)), target=target),
        ]
    return figures


async def _fast(asked: Sequence[tuple[str, str]], dtype: str) -> list[list[list[int]]]:
    """Return the answers alone, alone once more, and in batches."""
    from backend.engines.fast_engine import FastEngine

    known = _of("fast", dtype=dtype)
    engine = FastEngine(list(known.values()), settings())
    await engine.start()
    tokenizer = engine._writers[asked[0][0]].tokenizer

    async def write(key: str, text: str) -> list[int]:
        stream = engine.stream(Job(known[key], "", (Turn("customer", text),)))
        words = "".join([item async for item in stream if isinstance(item, str)])
        return list(tokenizer(words)["input_ids"])

    rounds = [[await write(*pair) for pair in asked] for _ in range(2)]
    together: list[list[int]] = []
    for at in range(0, len(asked), BATCH):
        together += await asyncio.gather(*(write(*pair) for pair in asked[at : at + BATCH]))
    await engine.close()
    return [*rounds, together]


def _figure(what: str, pairs: Pairs, target: float | None = None) -> Figure:
    firsts = [_first_difference(alone, together) for alone, together in pairs if alone != together]
    detail: dict[str, Any] = {"answers": len(pairs), "differ": len(firsts), "tokens_each_at_most": TOKENS}
    if firsts:
        detail |= {"first_different_token_median": statistics.median(firsts), "earliest": min(firsts)}
    name = f"{what}: share of greedy answers that differ from those alone"
    return Figure(name, len(firsts) / len(pairs), target, detail, better="lower")


def _first_difference(alone: Sequence[int], together: Sequence[int]) -> int:
    """Return the number of the first token that differs, counted from 1."""
    same = next((at for at, (one, other) in enumerate(zip(alone, together, strict=False)) if one != other), None)
    return (min(len(alone), len(together)) if same is None else same) + 1
