"""Mails as bytes, read back by a parser that is not ours to please."""

import email
import email.policy
import re
from dataclasses import replace
from datetime import UTC, datetime
from email.message import EmailMessage

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from notify.content import Attachment, Content, Image
from notify.envelope import envelope
from notify.plain import one_line, printable
from store.notices import Notice
from store.occasions import Occasion

NOW = datetime(2026, 11, 21, 12, 0, tzinfo=UTC)
NOTICE = Notice(
    id="3f9k2m7qabcd-1-failed", about=Occasion.FAILED, to=("me@lab.example",), run="3f9k2m7qabcd", experiment="weather"
)
CONTENT = Content(
    subject="[labq] weather failed",
    text="It failed.\n",
    html='<html><body><p>It failed.</p><img src="cid:curve@labq" alt="curve"></body></html>',
    images=(Image(cid="curve@labq", png=b"\x89PNG" + bytes(50), name="curve.png", command="labq plot 3f9k2m7q"),),
    attachments=(Attachment(name="history.csv", mime="text/csv", data=b"step,loss\n", command="labq results weather"),),
)
HEADERS = [
    "From", "To", "Subject", "Date", "Message-ID", "Auto-Submitted", "X-Auto-Response-Suppress", "List-Id", "X-labq-About",
    "X-labq-Experiment", "X-labq-Run", "MIME-Version", "Content-Type",
]  # fmt: skip

hostile = st.text(st.characters(codec=None), max_size=120) | st.lists(
    st.sampled_from(
        [
            "\r\n",
            "\n",
            "\r",
            "\x00",
            "\x85",
            "\u2028",
            "\u202e",
            "\udc80",
            "Bcc: x@y.example",
            "\r\n\r\n<b>",
            "=?utf-8?q?=0A?=",
            "ü",
            "名前",
            "😀",
            " ",
            "\t",
            "a" * 90,
            ",",
            "@",
            "<",
            ">",
            '"',
            "\\",
            "(",
            ":",
            ";",
            "--==",
        ]
    ),
    max_size=12,
).map("".join)


def sent(mail: EmailMessage) -> bytes:
    return mail.as_bytes()


def read(raw: bytes) -> EmailMessage:
    parsed = email.message_from_bytes(raw, policy=email.policy.default)
    assert isinstance(parsed, EmailMessage)
    return parsed


def lines_are_well_formed(raw: bytes) -> None:
    assert b"\n" not in raw.replace(b"\r\n", b"")
    assert b"\r" not in raw.replace(b"\r\n", b"")
    assert b"\x00" not in raw
    assert max(len(line) for line in raw.split(b"\r\n")) <= 998


def as_sent(text: str) -> str:
    """Lines of mails end in CRLF, and there is always a last one."""
    return text.replace("\r\n", "\n").rstrip("\n")


@settings(max_examples=80, deadline=None)
@given(subject=hostile, experiment=hostile, rule=hostile, name=hostile)
@example(subject="x\r\nBcc: spy@lab.example", experiment="a\nTo: b@c.d", rule="\r\n\r\n", name="a\rb")
@example(subject="ü" * 200 + " x " + "名" * 80, experiment="", rule="", name="")
def test_nothing_in_a_name_adds_a_header_or_gets_lost(subject: str, experiment: str, rule: str, name: str) -> None:
    notice = replace(NOTICE, experiment=experiment, rule=rule)
    content = replace(CONTENT, subject=subject, attachments=(replace(CONTENT.attachments[0], name=name or "x"),))
    raw = sent(envelope(notice, content, "labq@lab.example", NOW))
    lines_are_well_formed(raw)
    mail = read(raw)
    optional = [f"X-labq-{key}" for key, value in (("Experiment", experiment), ("Rule", rule)) if one_line(value)]
    assert sorted(mail.keys()) == sorted([h for h in HEADERS if h != "X-labq-Experiment"] + optional)
    assert mail["To"] == "me@lab.example"
    assert not mail.defects
    wanted = one_line(subject) or "[labq]"
    assert mail["Subject"] == wanted
    if one_line(experiment):
        assert mail["X-labq-Experiment"] == one_line(experiment)
    head = raw.split(b"\r\n\r\n")[0]
    assert head.isascii()
    assert max(len(line) for line in head.split(b"\r\n")) <= 998


@settings(max_examples=80, deadline=None)
@given(text=hostile, html=hostile)
def test_bodies_arrive_as_they_were(text: str, html: str) -> None:
    raw = sent(envelope(NOTICE, replace(CONTENT, text=text, html=f"<p>{html}"), "labq@lab.example", NOW))
    lines_are_well_formed(raw)
    mail = read(raw)
    plain, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert page is not None
    assert as_sent(plain.get_content()) == as_sent(printable(text))
    assert as_sent(page.get_content()) == as_sent(printable(f"<p>{html}"))


@settings(max_examples=80, deadline=None)
@given(sender=hostile.map(lambda name: f"{name} <labq@lab.example>"))
def test_a_sender_has_one_address_whatever_its_name_is(sender: str) -> None:
    try:
        mail = envelope(NOTICE, CONTENT, sender, NOW)
    except ValueError as error:
        assert "mail_from" in str(error)  # noqa: PT017 - both outcomes are right
        return
    raw = sent(mail)
    lines_are_well_formed(raw)
    (address,) = read(raw)["From"].addresses
    assert address.addr_spec == "labq@lab.example"


def test_parts_read_well_without_and_with_html() -> None:
    mail = envelope(NOTICE, CONTENT, "labq of the lab <labq@lab.example>", NOW)
    types = [part.get_content_type() for part in mail.walk()]
    assert types == [
        "multipart/mixed", "multipart/alternative", "text/plain", "multipart/related", "text/html", "image/png", "text/csv"
    ]  # fmt: skip
    picture = next(part for part in read(sent(mail)).walk() if part.get_content_type() == "image/png")
    assert (picture["Content-ID"], picture.get_filename()) == ("<curve@labq>", "curve.png")
    assert picture.get_content() == CONTENT.images[0].png
    bare = envelope(NOTICE, Content(subject="s", text="t"), "labq@lab.example", NOW)
    assert [part.get_content_type() for part in bare.walk()] == ["text/plain"]


def test_long_lines_and_other_alphabets_need_no_extension_of_the_server() -> None:
    content = replace(CONTENT, subject="größe " * 80, text="ж" * 5000 + "\n", html="<p>" + "x" * 9000)
    raw = sent(envelope(NOTICE, content, "Jürgen Groß <labq@lab.example>", NOW))
    lines_are_well_formed(raw)
    assert raw.isascii()
    assert read(raw)["Subject"] == ("größe " * 80).strip()
    assert read(raw)["From"].addresses[0].display_name == "Jürgen Groß"


def test_the_mails_of_a_run_hang_on_its_first_one() -> None:
    first = envelope(NOTICE, CONTENT, "labq@lab.example", NOW, root=NOTICE.message_id)
    assert first["References"] is None
    assert first["In-Reply-To"] is None
    later = envelope(replace(NOTICE, id="b"), CONTENT, "labq@lab.example", NOW, root=NOTICE.message_id)
    assert (later["In-Reply-To"], later["References"]) == (NOTICE.message_id, NOTICE.message_id)


@given(notice_id=hostile.filter(bool))
def test_a_message_id_is_always_a_message_id(notice_id: str) -> None:
    assert re.fullmatch(r"<[A-Za-z0-9_.-]+@labq>", replace(NOTICE, id=notice_id, created_at=NOW).message_id)


def test_the_same_run_in_two_databases_has_two_message_ids() -> None:
    one, other = (replace(NOTICE, created_at=datetime(2026, 1, day, tzinfo=UTC)) for day in (1, 2))
    assert one.message_id != other.message_id
    assert one.message_id == replace(one, tries=7).message_id


def test_only_addresses_are_in_the_header() -> None:
    notice = replace(NOTICE, to=("me@lab.example", "slack:lab", "a@b\nBcc: c@d", "jürgen@labör.example"))
    mail = envelope(notice, CONTENT, "labq@lab.example", NOW)
    assert [one.addr_spec for one in mail["To"].addresses] == ["me@lab.example", "jürgen@xn--labr-7qa.example"]
    with pytest.raises(ValueError, match="e-mail address"):
        envelope(replace(NOTICE, to=("a@b\nBcc: c@d",)), CONTENT, "labq@lab.example", NOW)


MB = 1_000_000
BIG = replace(
    CONTENT,
    images=(replace(CONTENT.images[0], png=bytes(1 * MB)), Image(cid="grid@labq", png=bytes(2 * MB), name="grid.png")),
    attachments=(replace(CONTENT.attachments[0], data=bytes(3 * MB)),),
    html=CONTENT.html.replace("</body>", '<img src="cid:grid@labq"></body>'),
)


@pytest.mark.parametrize(
    ("most_mb", "gone", "kept"),
    [
        (20, [], ["curve.png", "grid.png", "history.csv"]),
        (5, ["history.csv (3.0 MB): labq results weather"], ["curve.png", "grid.png"]),
        (3, ["history.csv", "grid.png (2.0 MB): labq show 3f9k2m7qabcd"], ["curve.png"]),
        (1, ["history.csv", "grid.png", "curve.png (1.0 MB): labq plot 3f9k2m7q"], []),
    ],
)
def test_attachments_go_first_then_pictures_and_the_text_says_so(
    most_mb: int, gone: list[str], kept: list[str]
) -> None:
    raw = sent(envelope(NOTICE, BIG, "labq@lab.example", NOW, most_bytes=most_mb * MB))
    assert len(raw) <= most_mb * MB
    mail = read(raw)
    assert [part.get_filename() for part in mail.walk() if part.get_filename()] == kept
    plain, page = mail.get_body(("plain",)), mail.get_body(("html",))
    assert plain is not None
    assert page is not None
    for line in gone:
        assert line in plain.get_content()
        assert line in page.get_content()
    assert page.get_content().count("<img") == sum(name.endswith("png") for name in kept)


def test_a_text_without_end_is_cut() -> None:
    raw = sent(envelope(NOTICE, replace(CONTENT, text="x" * 9 * MB), "labq@lab.example", NOW, most_bytes=1 * MB))
    assert len(raw) <= 1 * MB
    plain = read(raw).get_body(("plain",))
    assert plain is not None
    assert "the end of this text: labq show 3f9k2m7qabcd" in plain.get_content()
