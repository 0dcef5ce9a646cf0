"""The export: Zoho Desk's tickets and articles in the raw form, resumable and incremental."""

import asyncio
import json
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from replybench.errors import NotFound
from training.helpdesk.records import Records
from training.helpdesk.zoho import ZohoDesk

#: Called with (what, done, of how many).
Progress = Callable[[str, int, int], None]
TICKETS_A_PAGE, CONVERSATIONS_A_PAGE, ARTICLES_A_PAGE = 99, 200, 50
#: Fields of a listed row that tell whether the record changed since it was saved. Rows do not have all of them.
_VERSION_FIELDS = (
    "modifiedTime",
    "status",
    "statusType",
    "closedTime",
    "customerResponseTime",
    "threadCount",
    "commentCount",
)


@dataclass(frozen=True, slots=True)
class Choice:
    """What is exported besides the public part, and of which tickets."""

    internal_articles: bool = False
    private_comments: bool = False
    department: str | None = None
    status: str | None = None


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an export did."""

    tickets: int
    articles: int
    fetched: int
    unchanged: int
    requests: int


async def export(desk: ZohoDesk, out: Path, choice: Choice, progress: Progress = lambda *_: None) -> Outcome:
    """Export to `out`; what an earlier run fetched and has not changed since is not fetched again.

    Raises like `ZohoDesk.get`. Whatever was fetched before is kept, and the next run goes on from there.
    """
    records = Records(out)
    articles = await _articles(desk, records, choice, progress)
    tickets = await _tickets(desk, records, choice, progress)
    return Outcome(
        tickets=records.assemble("tickets", tickets.names),
        articles=records.assemble("articles", articles.names),
        fetched=tickets.fetched + articles.fetched,
        unchanged=tickets.unchanged + articles.unchanged,
        requests=desk.spending.requests,
    )


@dataclass(slots=True)
class _Batch:
    names: list[str]
    fetched: int = 0
    unchanged: int = 0


async def _tickets(desk: ZohoDesk, records: Records, choice: Choice, progress: Progress) -> _Batch:
    query = {"sortBy": "createdTime", "include": "contacts"}
    if choice.department:
        query["departmentId"] = choice.department
    if choice.status:
        query["status"] = choice.status

    async def fetch(row: dict[str, Any]) -> dict[str, Any]:
        return await _ticket(desk, row["id"], choice)

    rows = [row async for page in desk.pages("/tickets", first=0, limit=TICKETS_A_PAGE, **query) for row in page]
    return await _fetch(rows, "tickets", records, fetch, choice, lambda d, o: progress("Tickets", d, o))


async def _articles(desk: ZohoDesk, records: Records, choice: Choice, progress: Progress) -> _Batch:
    categories = await _categories(desk)

    async def fetch(row: dict[str, Any]) -> dict[str, Any]:
        body = await desk.get(f"/articles/{row['id']}") or {}
        return article_row(body, categories)

    rows = [row async for page in desk.pages("/articles", first=1, limit=ARTICLES_A_PAGE) for row in page]
    wanted = [row for row in rows if _is_wanted(row, choice)]
    return await _fetch(wanted, "articles", records, fetch, choice, lambda d, o: progress("Articles", d, o))


async def _fetch(
    rows: list[dict[str, Any]],
    kind: Any,
    records: Records,
    fetch: Callable[[dict[str, Any]], Awaitable[dict[str, Any]]],
    choice: Choice,
    progress: Callable[[int, int], None],
) -> _Batch:
    """Fetch and save the records that changed. A few are under way at a time; the client bounds the requests."""
    unique = {str(row["id"]): row for row in rows}  # a list that grows while it is read can show a row twice
    batch = _Batch(list(unique))
    stale = []
    for name, row in unique.items():
        version = _version(row, choice)
        if records.version(kind, name) == version:
            batch.unchanged += 1
        else:
            stale.append((name, row, version))
    progress(batch.unchanged, len(unique))
    queue = iter(stale)

    async def work() -> None:
        for name, row, version in queue:
            try:
                record = await fetch(row)
            except NotFound:  # deleted since it was listed
                batch.names.remove(name)
                continue
            records.save(kind, name, version, record)
            batch.fetched += 1
            progress(batch.unchanged + batch.fetched, len(unique))

    try:
        async with asyncio.TaskGroup() as group:
            for _ in range(8):
                group.create_task(work())
    except ExceptionGroup as errors:
        raise errors.exceptions[0] from None
    return batch


async def _ticket(desk: ZohoDesk, name: str, choice: Choice) -> dict[str, Any]:
    ticket = await desk.get(f"/tickets/{name}", include="contacts") or {}
    turns = []
    path = f"/tickets/{name}/conversations"
    async for page in desk.pages(path, first=0, limit=CONVERSATIONS_A_PAGE):
        for item in page:
            if item.get("type") == "comment":
                turn = comment_turn(item, choice)
            elif str(item.get("status", "")).upper() == "DRAFT":
                turn = None
            else:
                turn = thread_turn(await _thread(desk, name, str(item["id"])))
            if turn:
                turns.append(turn)
    return ticket_row(ticket, turns, desk)


async def _thread(desk: ZohoDesk, ticket: str, name: str) -> dict[str, Any]:
    path = f"/tickets/{ticket}/threads/{name}"
    thread = await desk.get(path, include="plainText") or {}
    if thread.get("isContentTruncated"):
        whole = await desk.get(f"{path}/fullContent") or {}
        thread = {**thread, "content": whole.get("content", thread.get("content"))}
    return thread


async def _categories(desk: ZohoDesk) -> dict[str, str]:
    """Return the names of the help centre's categories by id, sections under the name of their top category."""
    names: dict[str, str] = {}
    roots = await desk.get("/kbRootCategories") or {}
    for root in roots.get("data", []):
        tree = await desk.get(f"/kbRootCategories/{root['id']}/categoryTree") or root
        _collect(tree, None, names)
    return names


def ticket_row(ticket: dict[str, Any], turns: list[dict[str, Any]], desk: ZohoDesk) -> dict[str, Any]:
    """Return a ticket in the raw form."""
    contact = ticket.get("contact") or {}
    name = " ".join(filter(None, (contact.get("firstName"), contact.get("lastName"))))
    custom = {**(ticket.get("customFields") or {}), **(ticket.get("cf") or {})}
    person = {
        "name": name or None,
        "email": contact.get("email") or ticket.get("email"),
        "phone": contact.get("phone") or ticket.get("phone"),
        "mobile": contact.get("mobile"),
    }
    return {
        "id": str(ticket["id"]),
        "subject": ticket.get("subject") or "",
        "created_at": ticket.get("createdTime"),
        "status": ticket.get("status"),
        "outcome": _one_of(custom.get(desk.settings.outcome_field), ("success", "failure")),
        "rating": _one_of(custom.get(desk.settings.rating_field), ("good", "okay", "bad")),
        "contact": person if any(person.values()) else None,
        "category": ticket.get("category"),
        "is_spam": bool(ticket.get("isSpam")),
        "turns": sorted(turns, key=lambda turn: str(turn["created_at"] or "")),
    }


def thread_turn(thread: dict[str, Any]) -> dict[str, Any] | None:
    """Return a thread (an email, a chat, a call note) as a turn."""
    role = {"in": "customer", "out": "agent"}.get(str(thread.get("direction")))
    if role is None:
        return None
    is_html = "html" in str(thread.get("contentType", "")).lower()
    author = thread.get("author") or {}
    return {
        "id": str(thread["id"]),
        "role": role,
        "author": author.get("name") or author.get("email"),
        "created_at": thread.get("createdTime"),
        "html" if is_html else "text": thread.get("content") or thread.get("plainText") or "",
    }


def comment_turn(comment: dict[str, Any], choice: Choice) -> dict[str, Any] | None:
    """Return a comment as a turn, or None for a private one that is not asked for."""
    if not comment.get("isPublic") and not choice.private_comments:
        return None
    commenter = comment.get("commenter") or {}
    is_html = "html" in str(comment.get("contentType", "")).lower()
    return {
        "id": str(comment["id"]),
        "role": "customer" if commenter.get("type") == "END_USER" else "agent",
        "author": commenter.get("name"),
        "created_at": comment.get("commentedTime"),
        "html" if is_html else "text": comment.get("content") or "",
    }


def article_row(article: dict[str, Any], categories: dict[str, str]) -> dict[str, Any]:
    """Return an article in the raw form."""
    category = categories.get(str(article.get("categoryId"))) or (article.get("category") or {}).get("name")
    return {
        "id": str(article["id"]),
        "title": article.get("title"),
        "category": category,
        "html": article.get("answer") or "",
        "url": article.get("webUrl"),
        "permission": article.get("permission") or "ALL",
        "updated_at": _from_millis(article.get("modifiedTime")),
    }


def _is_wanted(row: dict[str, Any], choice: Choice) -> bool:
    if str(row.get("status") or "Published").lower() != "published":
        return False
    return choice.internal_articles or str(row.get("permission") or "ALL").upper() != "AGENTS"


def _version(row: dict[str, Any], choice: Choice) -> str:
    """Return what changes when the record does: the listed row's own marks, and what this export asks for."""
    marks = {name: row.get(name) for name in _VERSION_FIELDS}
    return json.dumps([marks, choice.private_comments], sort_keys=True)


def _collect(tree: dict[str, Any], top: str | None, names: dict[str, str]) -> None:
    name = top or tree.get("name") or tree.get("categoryName")
    if name and tree.get("id"):
        names[str(tree["id"])] = str(name)
    children: Iterable[dict[str, Any]] = tree.get("children") or tree.get("child") or ()
    for child in children:
        _collect(child, name, names)


def _one_of(value: Any, allowed: tuple[str, ...]) -> str | None:
    found = str(value or "").strip().lower()
    return found if found in allowed else None


def _from_millis(value: Any) -> str | None:
    """Return ISO 8601 of a time in epoch milliseconds; a time that is ISO already stays."""
    text = str(value or "")
    if not text.isdigit():
        return text or None
    return datetime.fromtimestamp(int(text) / 1000, UTC).isoformat().replace("+00:00", "Z")
