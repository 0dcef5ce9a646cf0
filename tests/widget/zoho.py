"""A stand-in for Zoho's servers: records, mail, and the connection that adds the API key to each request."""

import json
from dataclasses import dataclass, field
from typing import Any, Literal
from urllib.parse import parse_qs, urlsplit

import httpx
from playwright.sync_api import Route

#: What the widget was packed with; the connection leads there from the real backend's port.
BACKEND = "https://replybench.test"
AGENT = "Олена Коваль"

Outage = Literal["none", "request_lost", "reply_lost"]


@dataclass
class Zoho:
    """One helpdesk: `crm` and `desk` answer what the SDKs' calls carry.

    `outage` cuts the network: before the backend has got a request, or before Zoho has got its reply.
    """

    backend_url: str
    api_key: str
    records: dict[str, dict[str, Any]] = field(default_factory=dict)
    threads: dict[str, list[dict[str, str]]] = field(default_factory=dict)
    outage: Outage = "none"
    solutions: list[tuple[str, str]] = field(default_factory=list)
    mails: list[dict[str, Any]] = field(default_factory=list)
    inserted: list[tuple[str, str]] = field(default_factory=list)
    requests: list[tuple[str, str]] = field(default_factory=list)

    def serve(self, route: Route) -> None:
        """Answer one call of the host page."""
        payload = json.loads(route.request.post_data or "{}")
        is_ok, value = self.desk(payload) if "call" in payload else (True, self.crm(payload))
        route.fulfill(status=200 if is_ok else 502, json=value)

    def crm(self, data: dict[str, Any]) -> Any:
        """What CRM's server returns for the `data` of one CRM_EVENT."""
        match data:
            case {"category": "CONFIG", "type": "CURRENT_USER"}:
                return {"users": [{"full_name": AGENT, "email": "olena@merripot.example", "locale": "en_US"}]}
            case {"category": "READ", "APIData": {"Entity": "Cases", "RecordID": record_id}}:
                return {"data": [self.records[record_id]]}
            case {"category": "READ"}:
                return {"data": [{"First_Name": "Maria", "Full_Name": "Maria Lopez", "Email": "maria@example.org"}]}
            case {"category": "UPDATE", "APIData": {"id": record_id, "Solution": text}}:
                self.solutions.append((record_id, text))
                return {"data": [{"code": "SUCCESS"}]}
            case {"category": "MAIL", "APIData": {"data": [mail]}}:
                self.mails.append(mail)
                return {"data": [{"code": "SUCCESS"}]}
            case {"category": "CRM_CONNECTION", "connectionName": "replybench", "data": {"data": request}}:
                body = json.loads(request["parameters"]) if request["param_type"] == 2 else None
                answer = self._connection(request["method"], request["url"], json.loads(request["headers"]), body)
                if answer is None:
                    return {"code": "CONNECTION_ERROR", "details": {}, "status": "error"}
                # Zoho parses JSON bodies sometimes, and sometimes passes their text on.
                message = answer.text if body else answer.json()
                return {"code": "SUCCESS", "details": {"statusMessage": message, "status": "true"}, "status": "success"}
        raise AssertionError(f"Zoho CRM knows no such call: {data}")

    def desk(self, payload: dict[str, Any]) -> tuple[bool, Any]:
        """Whether a call of ZOHODESK succeeds, and what it returns."""
        ticket, details = payload["ticket"], payload["details"]
        match payload["call"]:
            case "get":
                values = {
                    "user": {"fullName": AGENT},
                    "ticket": self.records[ticket],
                    "ticket.id": ticket,
                    "portal.id": "1",
                }
                return True, {"status": "success", details: values[details]}
            case "invoke":
                self.inserted.append((ticket, details["value"]["value"]))
                return True, {"status": "success"}
            case "request" if details["connectionLinkName"] == "replybench_desk":
                return True, {"data": {"statusMessage": self._desk_api(details["url"])}}
            case "request":
                answer = self._connection(details["type"], details["url"], details["headers"], details.get("postBody"))
                if answer is None:
                    return False, "The request timed out."
                if details.get("responseType") == "json":
                    return True, {"data": {"statusMessage": answer.json()}}
                return True, json.dumps({"response": json.dumps({"statusMessage": answer.text})})
        raise AssertionError(f"Zoho Desk knows no such call: {payload}")

    def _desk_api(self, url: str) -> Any:
        parts = urlsplit(url)
        ticket, _, thread = parts.path.removeprefix("/api/v1/tickets/").partition("/threads")
        if not thread:
            assert parse_qs(parts.query)["limit"]
            return {
                "data": [{key: one[key] for key in ("id", "direction", "createdTime")} for one in self.threads[ticket]]
            }
        return next(one for one in self.threads[ticket] if one["id"] == thread.strip("/"))

    def _connection(self, method: str, url: str, headers: dict[str, str], body: Any) -> httpx.Response | None:
        """Send to the backend with the key that only the connection has; None: nothing came back."""
        assert url.startswith(BACKEND), url
        assert "authorization" not in {name.lower() for name in headers}
        path = url.removeprefix(BACKEND)
        self.requests.append((method, path))
        if self.outage == "request_lost":
            return None
        try:
            answer = httpx.request(
                method,
                self.backend_url + path,
                headers={**headers, "Authorization": f"Bearer {self.api_key}"},
                json=body,
                timeout=30,
            )
        except httpx.HTTPError:
            return None
        return None if self.outage == "reply_lost" else answer
