"""No licence that would bind who imports us."""

import pytest

from tests.supply_chain import is_strong_copyleft, licence, shipped


@pytest.mark.parametrize(
    "text", ["GPL-3.0-only", "GNU General Public License v2 (GPLv2)", "AGPL-3.0", "MIT AND GPL-2.0"]
)
def test_a_gpl_is_found(text: str) -> None:
    assert is_strong_copyleft(text)


@pytest.mark.parametrize(
    "text",
    [
        "MIT",
        "LGPL-3.0-only",
        "GNU Lesser General Public License v3",
        "MIT OR GPL-2.0",
        "GPL-3.0 WITH GCC-exception-3.1",
    ],
)
def test_what_does_not_bind_is_let_through(text: str) -> None:
    assert not is_strong_copyleft(text)


def test_nothing_that_is_shipped_is_under_a_gpl_or_without_a_licence() -> None:
    packages = shipped()
    assert len(packages) > 50
    assert {"streamlit", "fastapi", "sqlmodel"} <= set(packages)
    assert [name for name, package in packages.items() if is_strong_copyleft(licence(package))] == []
    assert [name for name, package in packages.items() if not licence(package)] == []
