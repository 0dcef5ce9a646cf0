"""A helpdesk's page in the browser with the widget in it; every request is answered here, none leaves the machine."""

import zipfile
from dataclasses import dataclass, field
from pathlib import Path

from playwright.sync_api import BrowserContext, Page, Route

from tests.widget.zoho import Zoho

STANDINS = Path(__file__).parent / "standins"
#: Where Zoho hosts widgets is another site than the helpdesk's; a browser may deny it storage and locks there.
OTHER_SITE = "https://widget.zappsusercontent.com"
SAME_SITE = "https://widget.zoho.com"
SDKS = ("https://live.zwidgets.com/js-sdk/", "https://js.zohostatic.com/")


@dataclass
class Helpdesk:
    """Serves one helpdesk (``crm`` or ``desk``) to a browser context.

    Attributes:
        files: the unpacked zip.
        strangers: what the pages asked of hosts that they have no business with.
    """

    host: str
    zoho: Zoho
    files: Path
    origin: str = SAME_SITE
    strangers: list[str] = field(default_factory=list)

    def open(self, context: BrowserContext, record: str) -> Page:
        """Open a record in a new page."""
        context.route("**/*", self._answer)
        page = context.new_page()
        page.goto(f"https://{self.host}.zoho.com/?record={record}&widget={self.origin}")
        return page

    def _answer(self, route: Route) -> None:
        url = route.request.url.partition("?")[0]
        if url == f"https://{self.host}.zoho.com/server":
            self.zoho.serve(route)
        elif url == f"https://{self.host}.zoho.com/":
            route.fulfill(path=STANDINS / f"{self.host}-host.html")
        elif url.startswith(f"{self.origin}/"):
            route.fulfill(path=self.files / url.removeprefix(f"{self.origin}/"))
        elif url.startswith(SDKS):
            route.fulfill(path=STANDINS / f"{self.host}-sdk.js")
        else:
            self.strangers.append(url)
            route.abort()


def unpack(packed: Path, host: str, into: Path) -> Path:
    """Unpack a zip as Zoho's hosting would; returns the folder."""
    with zipfile.ZipFile(packed / f"replybench-{host}.zip") as archive:
        archive.extractall(into / host)
    return into / host
