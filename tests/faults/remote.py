"""A server that speaks OpenAI's protocol, to be killed: `python -m tests.faults.remote PORT`."""

import asyncio
import json
import re
import sys
from collections.abc import AsyncIterator

import uvicorn
from fastapi import FastAPI
from fastapi.responses import StreamingResponse

app = FastAPI()
WORDS = re.findall(r"\S+", "Hello, this answer comes from a server far away, word by word, until it is complete.")


@app.get("/v1/models")
async def models() -> dict[str, object]:
    return {"object": "list", "data": [{"id": "far", "object": "model", "created": 0, "owned_by": "tests"}]}


@app.post("/v1/chat/completions")
async def complete() -> StreamingResponse:
    async def pieces() -> AsyncIterator[str]:
        for index, word in enumerate([*WORDS, None]):
            delta = {"content": f"{word} "} if word else {}
            choice = {"index": 0, "delta": delta, "finish_reason": None if word else "stop"}
            body = {"id": "x", "object": "chat.completion.chunk", "created": 0, "model": "far", "choices": [choice]}
            yield f"data: {json.dumps(body)}\n\n"
            await asyncio.sleep(0.02 if index else 0)
        yield "data: [DONE]\n\n"

    return StreamingResponse(pieces(), media_type="text/event-stream")


if __name__ == "__main__":
    uvicorn.run(app, host="127.0.0.1", port=int(sys.argv[1]), log_level="warning")
