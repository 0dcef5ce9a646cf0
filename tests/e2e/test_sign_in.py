"""Sign-in through a real identity provider (Canaille, in a thread), in a real browser."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, expect
from pytest_iam import Server

from replybench.stack import Service, own_command
from tests.e2e.live_stack import LiveStack
from tests.faults.stack import free_port

PASSWORD = "correct horse battery staple"
SECRETS = """
[auth]
redirect_uri = "{console}/oauth2callback"
cookie_secret = "a-secret-of-this-test-alone"
client_id = "replybench"
client_secret = "shared-with-the-provider"
server_metadata_url = "{provider}.well-known/openid-configuration"
client_kwargs = {{ scope = "openid profile email groups" }}
"""


@pytest.fixture(scope="module")
def people(iam_server: Server) -> dict[str, Any]:
    """A manager by default, and a lead by a group of the provider's."""
    made = {}
    for login, name in (("olena", "Olena Koval"), ("ira", "Ira Melnyk")):
        user = iam_server.models.User(
            user_name=login,
            formatted_name=name,
            family_name=name.split()[1],
            emails=[f"{login}@example.org"],
            password=PASSWORD,
        )
        iam_server.backend.save(user)
        made[login] = user
    group = iam_server.models.Group(display_name="lead", members=[made["ira"]])
    iam_server.backend.save(group)
    return made


@pytest.fixture(scope="module")
def console(stack: LiveStack, iam_server: Server, people: dict[str, Any], tmp_path_factory: Any) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("sign-in")
    port = free_port()
    url = f"http://localhost:{port}"
    client = iam_server.models.Client(
        client_id="replybench",
        client_secret="shared-with-the-provider",
        client_name="Replybench",
        client_uri=url,
        redirect_uris=[f"{url}/oauth2callback"],
        post_logout_redirect_uris=[url, f"{url}/", f"{url}/oauth2callback"],
        grant_types=["authorization_code"],
        response_types=["code"],
        token_endpoint_auth_method="client_secret_basic",
        scope=["openid", "profile", "email", "groups"],
    )
    iam_server.backend.save(client)
    client.audience = [client]
    iam_server.backend.save(client)
    for person in people.values():
        iam_server.consent(person, client)
    secrets = folder / "oidc.toml"
    secrets.write_text(SECRETS.format(console=url, provider=iam_server.url))
    service = Service(
        name="console",
        command=own_command("console", "--host", "127.0.0.1", "--port", str(port)),
        environment={
            "API_KEY": stack.api_key,
            "BACKEND_URL": stack.backend_url,
            "OIDC_FILE": str(secrets),
            "ROLE_CLAIM": "groups",
        },
        health_url=f"http://127.0.0.1:{port}/_stcore/health",
        log=folder / "console.log",
    )
    service.start()
    service.wait_until_healthy(lambda line: None)
    yield url
    service.stop()


def signed_in(browser: Browser, console: str, login: str) -> Page:
    page = browser.new_context(locale="en-GB").new_page()
    page.goto(console)
    page.get_by_role("button", name="Sign in").click(timeout=60_000)
    page.locator("input[name=login]").fill(login, timeout=30_000)
    page.locator("input[name=login]").press("Enter")
    page.locator("input[name=password]").fill(PASSWORD, timeout=30_000)
    page.locator("input[name=password]").press("Enter")
    expect(page.get_by_role("heading", name="Rate", exact=True)).to_be_visible(timeout=60_000)
    return page


def test_nobody_sees_anything_before_they_have_signed_in(browser: Browser, console: str) -> None:
    page = browser.new_context(locale="en-GB").new_page()
    page.goto(f"{console}/results")
    expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=60_000)
    expect(page.get_by_text("Your name")).to_have_count(0)
    page.context.close()


def test_a_manager_signs_in_and_finds_no_page_for_leads(browser: Browser, console: str) -> None:
    page = signed_in(browser, console, "olena")
    expect(page.get_by_text("Olena Koval").first).to_be_visible()
    expect(page.get_by_role("link", name="Guidelines")).to_be_visible()
    expect(page.get_by_role("link", name="Results")).to_have_count(0)
    expect(page.get_by_role("link", name="Operations")).to_have_count(0)
    page.context.close()


def test_a_lead_by_claim_sees_operations_and_can_sign_out(browser: Browser, console: str) -> None:
    page = signed_in(browser, console, "ira")
    page.get_by_role("link", name="Operations").click()
    expect(page.get_by_text("Answers under way")).to_be_visible(timeout=30_000)
    page.get_by_text("Ira Melnyk").first.click()
    page.get_by_role("button", name="Sign out").click()
    expect(page.get_by_role("button", name="Sign in")).to_be_visible(timeout=60_000)
    page.context.close()
