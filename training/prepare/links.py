"""The company's own articles by their addresses, so that a link can be replaced by the article's title."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from urllib.parse import urlsplit

from training.helpdesk.raw import RawArticle

_LOCALE = re.compile(r"^/[a-z]{2}(?:[-_][a-zA-Z]{2})?(?=/)")
_SECOND_LEVEL = frozenset({"co", "com", "org", "net", "gov", "edu", "ac"})


@dataclass(frozen=True, slots=True)
class LinkBook:
    """Addresses of the help centre: `titles` by path, and the hosts where it lives."""

    titles: dict[str, str]
    hosts: frozenset[str]

    @staticmethod
    def of(articles: Iterable[RawArticle]) -> "LinkBook":
        """Return the book of a help centre. Internal articles have no title in it, since customers cannot see them."""
        titles: dict[str, str] = {}
        hosts: set[str] = set()
        for article in articles:
            if not article.url:
                continue
            parts = urlsplit(article.url)
            if parts.hostname:
                hosts.add(parts.hostname.lower())
            if article.permission.upper() != "AGENTS":
                titles.setdefault(_key(parts.path), article.title.strip())
        return LinkBook(titles, frozenset(hosts))

    @property
    def domains(self) -> tuple[str, ...]:
        """The company's domains: those of the help centre without their first label where there are three."""
        return tuple(sorted({_domain(host) for host in self.hosts}))

    def title(self, address: str) -> str | None:
        """Return the title of the article at `address` (absolute or relative), or None."""
        parts = urlsplit(address.strip())
        if parts.scheme not in {"", "http", "https"} or (parts.hostname and parts.hostname.lower() not in self.hosts):
            return None
        if not parts.hostname and not parts.path.startswith("/"):
            return None
        return self.titles.get(_key(parts.path))

    def is_own(self, address: str) -> bool:
        """Return whether `address` leads to one of the company's own pages."""
        host = urlsplit(address.strip()).hostname
        return host is None or any(host == domain or host.endswith(f".{domain}") for domain in self.domains)


def _key(path: str) -> str:
    return _LOCALE.sub("", path).rstrip("/").lower()


def _domain(host: str) -> str:
    labels = host.split(".")
    keep = 3 if len(labels) > 2 and labels[-2] in _SECOND_LEVEL else 2
    return ".".join(labels[-keep:])
