"""Files of tickets: what is taken, and what is said about what is not."""

import gzip
import json
from pathlib import Path

import pytest

from replybench.errors import InvalidInput
from replybench.queue_contract import MAX_TICKETS_AT_ONCE, QueueTicket
from replybench.ticket_files import MAX_FILE_BYTES, batches, read, read_path

THREAD = {
    "id": "7",
    "subject": "Locked out",
    "turns": [
        {"role": "customer", "text": "I cannot get in."},
        {"role": "customer", "text": "Are you there?"},
        {"role": "agent", "text": "Hello."},
        {"role": "customer", "text": "Thanks"},
    ],
    "split": "heldout",
    "language": "en",
}


def test_csv_with_any_common_separator_and_order() -> None:
    for separator in ",;\t":
        lines = ["Text;ID;subject;priority;language", '"Two\nlines; one cell";17;Hello;high;en-GB', ";;;;", "Short;;;;"]
        data = "\n".join(lines)
        data = data if separator == ";" else data.replace("; one", " one").replace(";", separator)
        first, second = read("t.csv", f"\ufeff{data}".encode())
        assert first.text.startswith("Two\nlines")
        assert (first.id, first.subject, first.language, first.category) == ("17", "Hello", "en", None)
        assert second == QueueTicket(text="Short")


def test_json_lines_with_the_same_keys() -> None:
    rows = [{"text": "One", "id": 4, "unknown": 1}, {"text": "Two", "earlier": [{"role": "agent", "text": "Hi"}]}]
    one, two = read("t.jsonl", "\n".join(map(json.dumps, rows)).encode())
    assert one == QueueTicket(text="One", id="4")
    assert two.earlier[0].text == "Hi"


def test_of_a_thread_the_customers_words_before_the_first_reply_are_the_ticket() -> None:
    (ticket,) = read("threads.jsonl", json.dumps(THREAD).encode())
    assert (ticket.text, [turn.text for turn in ticket.earlier]) == ("Are you there?", ["I cannot get in."])
    assert (ticket.id, ticket.subject, ticket.language) == ("7", "Locked out", "en")


def test_of_a_prepared_folder_only_what_was_held_out_is_taken(tmp_path: Path) -> None:
    trained = {**THREAD, "id": "8", "split": "train"}
    (tmp_path / "threads.jsonl").write_text(f"{json.dumps(THREAD)}\n{json.dumps(trained)}\n")
    assert [ticket.id for ticket in read_path(tmp_path)] == ["7"]


def test_the_demos_own_export_needs_preparing_first() -> None:
    with pytest.raises(InvalidInput, match="replybench prepare"):
        read_path(Path(__file__).parents[2] / "demo" / "helpdesk")


@pytest.mark.parametrize(
    ("name", "data", "told"),
    [
        ("t.csv", b"subject,body\na,b\n", "'text' among them"),
        ("t.csv", b"text,id\nfine,1\n,2\n", "line 3: 'text' is wrong"),
        ("t.csv", b'text\n"two\nlines"\nfine\na,b\n', "line 5: it is not as the others"),
        ("t.csv", b'text\n"never closed\n', "line 2: this is not CSV"),
        ("t.csv", b"text\n\xff\n", "not UTF-8"),
        ("t.csv", b"text\n", "no ticket"),
        ("t.csv", b"", "'text' among them"),
        ("t.csv", b"text,language\nfine,Klingon\n", "line 2: 'language' is wrong"),
        ("t.csv", b"text\na\x00b\n", "line 2"),
        ("t.jsonl", b'{"text": "fine"}\n{"text": \n[]\n', "line 2: it is not as the others"),
        ("t.jsonl", b'{"text": 5}', "line 1: 'text' is wrong"),
        ("t.jsonl", b'{"turns": [{"role": "agent", "text": "x"}]}', "begin with the customer"),
        ("t.jsonl", b'{"turns": 5}', "not a list"),
        ("t.jsonl", b"[" * 100_000, "line 1"),
        ("t.xlsx", b"PK\x03\x04 whatever", "packed"),
        ("t.csv", gzip.compress(b"text\n" + b"a" * 10_000_000), "packed"),
        ("t.csv", b"text\n" + b"a" * MAX_FILE_BYTES, "larger than"),
        ("t.csv", b"text\n" + b"a" * 60_000, "line 2: 'text' is wrong"),
        ("t.csv", b"text\n" + b"a\n" * 20_001, "at most"),
    ],
)
def test_what_is_wrong_is_named_with_its_line_and_without_its_words(name: str, data: bytes, told: str) -> None:
    with pytest.raises(InvalidInput) as refused:
        read(name, data)
    assert told in refused.value.message
    assert "fine" not in refused.value.message
    assert len(refused.value.message) < 500


def test_many_wrong_lines_are_told_as_a_few_and_a_number() -> None:
    with pytest.raises(InvalidInput, match="And 7 more"):
        read("t.csv", b"text,id\n" + b",1\n" * 12)


def test_batches_are_small_enough_for_a_request() -> None:
    many = [QueueTicket(text="short") for _ in range(MAX_TICKETS_AT_ONCE + 1)]
    assert [len(batch) for batch in batches(many)] == [MAX_TICKETS_AT_ONCE, 1]
    large = [QueueTicket(text="x" * 50_000) for _ in range(20)]
    sizes = [len(batch) for batch in batches(large)]
    assert sum(sizes) == 20
    assert max(sizes) == 1


def test_a_file_that_is_not_there_is_told(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="cannot be read"):
        read_path(tmp_path / "nothing.csv")
    with pytest.raises(InvalidInput, match=r"no threads\.jsonl"):
        read_path(tmp_path)
