"""The redactor: what it finds, what it leaves, and that one person keeps one placeholder."""

import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from replybench.errors import ConfigError, Unavailable
from replybench.redaction import Entity, Kind, KnownPeople, Person, Redactor, rampart
from replybench.redaction.entities import resolve
from replybench.redaction.placeholders import PLACEHOLDER

CUSTOMER = Person("Maria Lopez-Vega", ("maria.l@example.com",), ("+44 7700 900123",))


@pytest.fixture(scope="module")
def redactor() -> Redactor:
    return Redactor("model", own_domains=["merripot.example"], keep=["Merripot"])


@pytest.fixture(scope="module")
def patterns() -> Redactor:
    return Redactor("patterns")


@pytest.mark.parametrize(
    ("kind", "text", "value"),
    [
        (Kind.EMAIL, "write to zofia.k+shop@mail.example please", "zofia.k+shop@mail.example"),
        (Kind.PHONE, "ring +380 00 000 0045 tonight", "+380 00 000 0045"),
        (Kind.PHONE, "тел. 067 000 45 67 після шостої", "067 000 45 67"),
        (Kind.PHONE, "(715) 555-0191 is my number", "(715) 555-0191"),
        (Kind.CARD, "paid with 4242 4242 4242 4242 today", "4242 4242 4242 4242"),
        (Kind.IBAN, "to UA213223130000026007233566001 please", "UA213223130000026007233566001"),
        (Kind.IBAN, "a digit too few: BE68 5390 0754 703", "BE68 5390 0754 703"),
        (Kind.IP, "blocked: 203.0.113.87 again", "203.0.113.87"),
        (Kind.IP, "from 2001:db8:85a3::8a2e:370:7334 at night", "2001:db8:85a3::8a2e:370:7334"),
        (Kind.URL, "see https://example.org/u/ana?x=1.", "https://example.org/u/ana?x=1"),
        (
            Kind.URL,
            "at https://example.org/x?m=ana@example.org&n=9429051146498 now",
            "https://example.org/x?m=ana@example.org&n=9429051146498",
        ),
        (Kind.ORDER_ID, "my order MP-204718 is late", "MP-204718"),
        (Kind.ORDER_ID, "замовлення №7730915 приїхало", "7730915"),
        (Kind.USERNAME, "my login is mkeller_74 there", "mkeller_74"),
        (Kind.PASSWORD, "пароль Kalyna2023! не підходить", "Kalyna2023!"),
        (Kind.ID_NUMBER, "Passport 548213907 was refused", "548213907"),
        (Kind.ADDRESS, "живу на вул. Зелена, 18, кв. 4, Львів тепер", "вул. Зелена, 18, кв. 4, Львів"),
        (Kind.ADDRESS, "at 17 Larch Avenue, Harrogate HG2 9ZZ since May", "17 Larch Avenue, Harrogate HG2 9ZZ"),
        (Kind.NAME, "Hi Olena,\nall good", "Olena"),
        (Kind.NAME, "Вітаю, Юліє! Питання таке.", "Юліє"),
        (Kind.NAME, "пишу за Івана Петровича Коваленка з Луцька", "Івана Петровича Коваленка"),
    ],
)
def test_patterns_find_each_kind(patterns: Redactor, kind: Kind, text: str, value: str) -> None:
    result = patterns.redact(text)
    assert [(entity.kind, text[entity.start : entity.end]) for entity in result.entities] == [(kind, value)]
    assert result.text == text.replace(value, f"{{{kind.value}}}")


@pytest.mark.parametrize(
    "text",
    [
        "Firefox 115 and version 3.2.1.0 on Windows 11, error 0x80070057",
        "My router is 192.168.1.1, DNS 8.8.8.8, loopback 127.0.0.1",
        "Will you mark it as done? May I see the rose garden?",
        "Photos up to 15 MB, 1,638 threads, 150,157 characters, 2024-05-03 at 14:05",
        "Натисніть «Зберегти», доставка до Польщі коштує 250 грн",
        "Pick Settings → Account → Change email on Friday",
        "change the password authentication from normal to OAuth2, not Password, on smtp.example.com:587",
        "EGL_KHR_image GL_EXT_frag_depth snd_hda_intel sse4_1 kms_swrast theme_frame in the log",
    ],
)
def test_what_is_nobodys_stays(redactor: Redactor, text: str) -> None:
    assert redactor.redact(text).text == text


def test_one_person_keeps_one_placeholder_over_the_ticket(redactor: Redactor) -> None:
    known = KnownPeople.of(CUSTOMER, ["Maria Lopez-Vega", "Olena"])
    subject, question, answer, last = redactor.redact_ticket(
        [
            "Card for Hana",
            "Hi Olena, I'm Maria. My boss Hana Sato leaves; reach me at maria.l@example.com or 07700 900123.",
            "Hi Maria, I wrote to Hana and to maria.l@example.com.",
            "thanks, maria",
        ],
        known,
    )
    assert subject.text == "Card for {name_2}"
    assert question.text == "Hi {name_3}, I'm {name}. My boss {name_2} leaves; reach me at {email} or {phone}."
    assert answer.text == "Hi {name}, I wrote to {name_2} and to {email}."
    assert last.text == "thanks, {name}"


def test_ukrainian_cases_are_one_person(patterns: Redactor) -> None:
    known = KnownPeople.of(Person("Юлія Шевчук"), ["Олена"])
    texts = ["Вітаю, Юліє!", "Дякую, Олено! Пише Юлія Шевчук.", "Передайте Олені вітання."]
    assert [result.text for result in patterns.redact_ticket(texts, known)] == [
        "Вітаю, {name}!",
        "Дякую, {name_2}! Пише {name}.",
        "Передайте {name_2} вітання.",
    ]


def test_known_people_with_ordinary_words_as_names(patterns: Redactor) -> None:
    known = KnownPeople.of(Person("Will Rose"), [])
    text = "Will it work? I will try the rose card. Thanks, will"
    assert patterns.redact(text, known).text == "{name} it work? I will try the rose card. Thanks, {name}"


def test_logins_of_the_ticket_are_found_without_a_cue(patterns: Redactor) -> None:
    known = KnownPeople.of(None, ["user_0031", "sara@example.org"])
    assert patterns.redact("as user_0031 said to sara@example.org", known).text == "as {username} said to {email}"


def test_the_company_itself_is_public(redactor: Redactor) -> None:
    text = "Merripot writes from hello@merripot.example, see merripot.example/teams"
    assert redactor.redact(text).text == text
    assert redactor.redact("open merripot.example/c/bye-ruth-4mq8").text == "open {url}"
    assert redactor.redact("olena.k@merripot.example").text == "{email}"


def test_redacting_twice_changes_nothing(redactor: Redactor) -> None:
    once = redactor.redact("Hi Olena, it's Tomasz Wrona, order MP-204718, ring +44 7700 900555").text
    assert PLACEHOLDER.search(once)
    assert redactor.redact(once).text == once


def test_entities_point_into_the_text_that_was_given(redactor: Redactor) -> None:
    text = "Dear Priya, my IBAN is NL91 ABNA 0417 1643 00."
    for entity in redactor.redact(text).entities:
        assert text[entity.start : entity.end] in {"Priya", "NL91 ABNA 0417 1643 00"}


def test_the_model_finds_names_that_no_pattern_knows(redactor: Redactor, patterns: Redactor) -> None:
    text = "The parcel was signed for by somebody named Xiomara Quillfeather, who does not live here."
    assert "Quillfeather" not in redactor.redact(text).text
    assert redactor.mode == "model"
    assert redactor.notice is None
    assert patterns.notice is not None
    assert "name model" in patterns.notice


def test_a_changed_model_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = rampart.model_folder()
    assert folder is not None
    for name in rampart.SHA256:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes((folder / name).read_bytes())
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(Unavailable, match="not the one that was tested"):
        rampart.load(tmp_path)


def test_asking_for_a_model_that_is_not_there_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rampart, "model_folder", lambda: None)
    with pytest.raises(ConfigError, match="pip install"):
        Redactor("model")
    assert Redactor("auto").mode == "patterns"


def test_importing_and_making_one_loads_nothing_heavy() -> None:
    code = (
        "import sys; from replybench.redaction import Redactor; r = Redactor(); "
        "heavy = {'spacy', 'torch', 'presidio_analyzer', 'onnxruntime', 'tokenizers'} & set(sys.modules); "
        "assert not heavy, heavy; "
        "Redactor('patterns').redact('Hi Olena, no numbers here'); "
        "assert 'presidio_analyzer' not in sys.modules"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_several_threads_get_the_same_answers() -> None:
    redactor = Redactor("model")
    texts = [
        f"Hi Olena, I'm Wanjiru Kamau number {n}, mail w.kamau{n}@example.org, IBAN NL91 ABNA 0417 1643 00"
        for n in range(24)
    ]
    alone = [redactor.redact(text) for text in texts]
    fresh = Redactor("model")
    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(fresh.redact, texts)) == alone


_ENTITIES = st.builds(
    lambda start, length, kind: Entity(start, start + length, kind),
    st.integers(0, 40),
    st.integers(2, 15),
    st.sampled_from(list(Kind)),
)


@given(st.lists(_ENTITIES, max_size=8))
@settings(max_examples=200, deadline=None)
def test_resolved_entities_never_overlap_and_are_sorted(found: list[Entity]) -> None:
    kept = resolve(found)
    assert kept == sorted(kept)
    assert all(one.end <= other.start for one, other in pairwise(kept))
    covered = {at for entity in found for at in range(entity.start, entity.end)}
    assert {at for entity in kept for at in range(entity.start, entity.end)} <= covered


@given(st.text(max_size=300))
@settings(max_examples=150, deadline=None)
def test_any_text_at_all_can_be_redacted(text: str) -> None:
    result = Redactor("patterns").redact(text)
    outside, at = [], 0
    for entity in result.entities:
        outside.append(text[at : entity.start])
        at = entity.end
    assert "".join([*outside, text[at:]]) == "".join(_split(result.text, text, result.entities))


def _split(redacted: str, text: str, entities: tuple[Entity, ...]) -> list[str]:
    """What stands between the placeholders of a redacted text, found by the lengths of what surrounds them."""
    pieces, at, source = [], 0, 0
    for entity in entities:
        length = entity.start - source
        pieces.append(redacted[at : at + length])
        at = redacted.index("}", at + length) + 1
        source = entity.end
    return [*pieces, redacted[at:]]


def test_presidio_alone_leaves_the_process_as_it_was() -> None:
    code = (
        "import sys; from replybench.redaction import Redactor, presidio; presidio.load_alone(); "
        "assert 'torch' not in sys.modules and 'transformers' not in sys.modules; "
        "assert Redactor('patterns').redact('GB33BUKB20201555555555').text == '{iban}'; "
        "import importlib.util; assert importlib.util.find_spec('torch')"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
