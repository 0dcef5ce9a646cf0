"""A server that speaks Zoho Desk's rules, serving a raw folder: pages, 204, tokens that end, both kinds of 429, cut
content, a 500 now and then, a dropped connection. It is plain `http.server`, so that nothing of ours is on its side."""

import json
import re
import threading
import time
from collections import Counter
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

CUT_AT = 120  # characters that a thread's content is cut at until /fullContent is asked for


@dataclass
class Trouble:
    """What goes wrong, by the number of the request it happens at."""

    server_error_at: set[int] = field(default_factory=set)
    drop_connection_at: set[int] = field(default_factory=set)
    too_many_at: set[int] = field(default_factory=set)  # 429 without Retry-After
    credits_pause_at: set[int] = field(default_factory=set)  # 429 with a short Retry-After
    requests_per_token: int = 10**9  # a token answers 401 after so many
    credits: int = 10**9
    day_is_over_at: int = 10**9  # from this request on: 429 with a Retry-After of hours


class ZohoServer:
    """One organisation, made from raw rows. Use it as a context manager."""

    org_id = "20202020"
    refresh_token = "1000.refresh"
    client = ("1000.CLIENT", "s3cret")

    def __init__(self, folder: Path, *, limit: int | None = None, trouble: Trouble | None = None) -> None:
        self.trouble = trouble or Trouble()
        self.articles = _unique(_rows([folder / "articles.jsonl"]))
        files = sorted(path for path in folder.glob("tickets-*.jsonl") if "manifest" not in path.name)
        self.tickets = _unique(_rows(files))[:limit]
        self.by_id = {ticket["id"]: ticket for ticket in self.tickets}
        self.counts: Counter[str] = Counter()
        self.tokens: dict[str, int] = {}
        self.busy = self.busiest = 0
        self.lock = threading.Lock()
        self.categories = sorted({article["category"] for article in self.articles if article["category"]})

    def __enter__(self) -> "ZohoServer":
        handler = type("Handler", (_Handler,), {"zoho": self})
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def environment(self) -> dict[str, str]:
        """The settings that reach this server."""
        return {
            "ZOHO_DESK_URL": self.url,
            "ZOHO_ACCOUNTS_URL": self.url,
            "ZOHO_CLIENT_ID": self.client[0],
            "ZOHO_CLIENT_SECRET": self.client[1],
            "ZOHO_REFRESH_TOKEN": self.refresh_token,
            "ZOHO_ORG_ID": self.org_id,
        }

    def answer(self, path: str, query: dict[str, str]) -> tuple[int, Any]:
        """Return status and body of a GET under /api/v1."""
        if path == "/tickets":
            return self._page([self._listed(ticket) for ticket in self.tickets], query, first=0, most=99)
        if match := re.fullmatch(r"/tickets/([^/]+)", path):
            return self._ticket(match[1])
        if match := re.fullmatch(r"/tickets/([^/]+)/conversations", path):
            return self._page(self._conversations(match[1]), query, first=0, most=200)
        if match := re.fullmatch(r"/tickets/([^/]+)/threads/([^/]+)(/fullContent)?", path):
            return self._thread(match[1], match[2], query, is_full=bool(match[3]))
        if path == "/articles":
            listed = [
                {key: value for key, value in self._article(article).items() if key not in {"answer"}}
                for article in self.articles
            ]
            return self._page(listed, query, first=1, most=50)
        if match := re.fullmatch(r"/articles/([^/]+)", path):
            found = next((article for article in self.articles if article["id"] == match[1]), None)
            return (200, self._article(found)) if found else (404, {"errorCode": "URL_NOT_FOUND"})
        if path == "/kbRootCategories":
            return 200, {"data": [{"id": "900", "name": "Help Center"}]}
        if path == "/kbRootCategories/900/categoryTree":
            children = [{"id": str(901 + at), "name": name, "children": []} for at, name in enumerate(self.categories)]
            return 200, {"id": "900", "name": None, "children": children}
        return 404, {"errorCode": "URL_NOT_FOUND"}

    @staticmethod
    def _page(rows: list[dict[str, Any]], query: dict[str, str], *, first: int, most: int) -> tuple[int, Any]:
        at, limit = int(query.get("from", first)), int(query.get("limit", "10"))
        if not 1 <= limit <= most:
            return 422, {"errorCode": "UNPROCESSABLE_ENTITY", "message": f"limit is at most {most}"}
        page = rows[at - first : at - first + limit]
        return (200, {"data": page}) if page else (204, None)

    def _listed(self, ticket: dict[str, Any]) -> dict[str, Any]:
        return {
            "id": ticket["id"],
            "subject": ticket["subject"],
            "status": ticket["status"],
            "createdTime": ticket["created_at"],
            "modifiedTime": ticket.get("modified", ticket["turns"][-1]["created_at"] if ticket["turns"] else None),
            "threadCount": str(len(ticket["turns"])),
        }

    def _ticket(self, name: str) -> tuple[int, Any]:
        ticket = self.by_id.get(name)
        if ticket is None:
            return 404, {"errorCode": "URL_NOT_FOUND"}
        contact = ticket["contact"] or {}
        first, _, last = (contact.get("name") or "").partition(" ")
        person = {"firstName": first, "lastName": last, "email": contact.get("email"), "phone": contact.get("phone")}
        return 200, {
            **self._listed(ticket),
            "category": ticket["category"],
            "isSpam": ticket["is_spam"],
            "contact": person if ticket["contact"] else None,
            "cf": {"cf_outcome": ticket["outcome"], "cf_rating": ticket["rating"]},
        }

    def _conversations(self, name: str) -> list[dict[str, Any]]:
        turns = self.by_id[name]["turns"] if name in self.by_id else []
        threads = [
            {
                "type": "thread",
                "id": turn["id"],
                "summary": _plain(turn)[:40],
                "direction": _direction(turn),
                "status": "SUCCESS",
            }
            for turn in turns
        ]
        extra = [
            {
                "type": "comment",
                "id": f"{name}-c",
                "isPublic": False,
                "content": "PRIVATE NOTE",
                "contentType": "plainText",
                "commenter": {"name": "Tom", "type": "AGENT"},
                "commentedTime": "2030-01-01T00:00:00Z",
            },
            {"type": "thread", "id": f"{name}-draft", "status": "DRAFT", "direction": "out", "summary": "…"},
        ]
        return [*reversed(threads), *extra]

    def _thread(self, ticket: str, name: str, query: dict[str, str], *, is_full: bool) -> tuple[int, Any]:
        turn = next((turn for turn in self.by_id.get(ticket, {}).get("turns", []) if turn["id"] == name), None)
        if turn is None:
            return 404, {"errorCode": "URL_NOT_FOUND"}
        content = turn.get("html") if turn.get("html") is not None else turn.get("text", "")
        if is_full:
            return 200, {"content": content}
        is_cut = len(content) > CUT_AT
        return 200, {
            "id": name,
            "direction": _direction(turn),
            "contentType": "text/html" if turn.get("html") is not None else "text/plain",
            "content": content[:CUT_AT] if is_cut else content,
            "isContentTruncated": is_cut,
            "createdTime": turn["created_at"],
            "author": {"name": turn["author"], "type": "END_USER" if turn["role"] == "customer" else "AGENT"},
            **({"plainText": _plain(turn)} if query.get("include") == "plainText" else {}),
        }

    def _article(self, article: dict[str, Any]) -> dict[str, Any]:
        category = article["category"]
        return {
            "id": article["id"],
            "title": article["title"],
            "answer": article["html"],
            "permission": article["permission"],
            "status": article.get("status", "Published"),
            "webUrl": article["url"],
            "categoryId": str(901 + self.categories.index(category)) if category else None,
            "modifiedTime": str(_millis(article["updated_at"])),
        }


class _Handler(BaseHTTPRequestHandler):
    zoho: ZohoServer
    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        form = {
            key: value[0]
            for key, value in parse_qs(self.rfile.read(int(self.headers["Content-Length"])).decode()).items()
        }
        zoho = self.zoho
        zoho.counts["token"] += 1
        right = (form.get("client_id"), form.get("client_secret")) == zoho.client
        if not right or form.get("refresh_token") != zoho.refresh_token or form.get("grant_type") != "refresh_token":
            return self._send(200, {"error": "invalid_code"})
        token = f"1000.access{zoho.counts['token']}"
        zoho.tokens = {token: 0}
        return self._send(200, {"access_token": token, "expires_in": 3600, "token_type": "Bearer"})

    def do_GET(self) -> None:
        zoho, trouble = self.zoho, self.zoho.trouble
        with zoho.lock:
            zoho.counts["request"] += 1
            number = zoho.counts["request"]
            zoho.busy += 1
            zoho.busiest = max(zoho.busiest, zoho.busy)
        try:
            time.sleep(0.002)
            self._answer(number, trouble)
        finally:
            with zoho.lock:
                zoho.busy -= 1

    def _answer(self, number: int, trouble: Trouble) -> None:
        zoho = self.zoho
        if number in trouble.drop_connection_at:
            self.connection.close()
            return None
        if number in trouble.server_error_at:
            return self._send(500, {"errorCode": "INTERNAL_SERVER_ERROR"})
        if number >= trouble.day_is_over_at:
            return self._send(429, {"errorCode": "THRESHOLD_EXCEEDED"}, {"Retry-After": "31000"})
        if number in trouble.too_many_at:
            return self._send(429, {"errorCode": "TOO_MANY_REQUESTS"})
        if number in trouble.credits_pause_at:
            return self._send(429, {"errorCode": "THRESHOLD_EXCEEDED"}, {"Retry-After": "3"})
        if not self._is_authorised(trouble):
            return self._send(401, {"errorCode": "INVALID_OAUTH"})
        url = urlsplit(self.path)
        query = {key: value[0] for key, value in parse_qs(url.query).items()}
        zoho.counts[re.sub(r"/\d[\w-]*", "/{id}", url.path)] += 1
        status, body = zoho.answer(url.path.removeprefix("/api/v1"), query)
        left = str(max(0, trouble.credits - number))
        return self._send(status, body, {"X-Rate-Limit-Remaining-v3": left})

    def _is_authorised(self, trouble: Trouble) -> bool:
        token = self.headers.get("Authorization", "").removeprefix("Zoho-oauthtoken ")
        with self.zoho.lock:
            if token not in self.zoho.tokens or self.headers.get("orgId") != self.zoho.org_id:
                return False
            self.zoho.tokens[token] += 1
            return self.zoho.tokens[token] <= trouble.requests_per_token

    def _send(self, status: int, body: Any, headers: dict[str, str] | None = None) -> None:
        content = b"" if body is None else json.dumps(body).encode()
        self.send_response(status)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        if status != 204:
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(content)))
        self.end_headers()
        if content and status != 204:
            self.wfile.write(content)

    def log_message(self, *_: object) -> None:
        """Be quiet."""


def _rows(files: list[Path]) -> list[dict[str, Any]]:
    return [
        json.loads(line) for path in files for line in path.read_text(encoding="utf-8").splitlines() if line.strip()
    ]


def _unique(rows: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """A real helpdesk has every id once."""
    return list({row["id"]: row for row in reversed(rows)}.values())[::-1]


def _direction(turn: dict[str, Any]) -> str:
    return "in" if turn["role"] == "customer" else "out"


def _plain(turn: dict[str, Any]) -> str:
    return re.sub(r"<[^>]+>", " ", turn.get("html") or turn.get("text") or "")


def _millis(iso: str) -> int:
    from datetime import datetime

    return int(datetime.fromisoformat(iso.replace("Z", "+00:00")).timestamp() * 1000)
