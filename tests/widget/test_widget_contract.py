"""The widget's types are those of the HTTP contract: a field that is renamed on one side alone is found here."""

import re
from typing import Literal, get_args

import pytest

from replybench import contract
from tests.widget.packing import WIDGET

TYPES = (WIDGET / "src" / "contract.ts").read_text("utf-8")
INTERFACES = {
    name: set(re.findall(r"^  (\w+):", body, re.MULTILINE))
    for name, body in re.findall(r"export interface (\w+) \{\n(.*?)\n\}", TYPES, re.DOTALL)
}


def union(name: str) -> set[str]:
    return set(re.findall(r'"(\w+)"', re.search(rf"export type {name} = ([^;]+);", TYPES)[1]))  # type: ignore[index]


def test_the_types_were_found() -> None:
    assert {"SuggestionPublic", "AnswerPublic", "RatingWrite", "UsageWrite", "RubricPublic"} <= set(INTERFACES)


@pytest.mark.parametrize("name", sorted(INTERFACES))
def test_every_field_is_one_of_the_contract(name: str) -> None:
    assert INTERFACES[name] <= set(getattr(contract, name).model_fields)


@pytest.mark.parametrize("name", ["SuggestionCreate", "RatingWrite", "UsageWrite"])
def test_what_is_sent_has_every_field_that_is_required(name: str) -> None:
    required = {key for key, field in getattr(contract, name).model_fields.items() if field.is_required()}
    assert required <= INTERFACES[name]


def test_the_words_are_the_contracts() -> None:
    assert union("AnswerStatus") == {status.value for status in contract.AnswerStatus}
    assert union("Source") == {contract.Source.ZOHO_CRM.value, contract.Source.ZOHO_DESK.value}
    actions = contract.UsageWrite.model_fields["action"].annotation
    assert union("UsageAction") == set(get_args(actions))
    assert union("Language") == set(get_args(Literal["en", "uk"]))
