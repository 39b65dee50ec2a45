"""A message as chat services take it."""

import pytest

from notify.chat_words import answer_in, body_of, scrubbed, title_of
from notify.content import Content


def test_the_first_lines_without_the_subject_twice() -> None:
    content = Content(subject="[labq] a", text="[labq] a\n\nCause  x\n" + "line\n" * 60)
    body = body_of(content, 0)
    assert body.startswith("Cause  x\nline")
    assert body.endswith("\n…")
    assert body.count("\n") == 25


@pytest.mark.parametrize("most", [10, 140, 5000])
def test_no_more_than_the_service_takes(most: int) -> None:
    content = Content(subject="s" * 9000, text="x" * 9000)
    assert len(body_of(content, most)) <= min(most, 1500)
    assert len(title_of(content, most)) <= most


def test_a_message_without_text_says_its_subject() -> None:
    assert body_of(Content(subject="s", text=""), 100) == "s"


def test_answers_are_read_from_the_log_of_apprise() -> None:
    answer = answer_in("Failed to send JSON POST notification: Unauthorized, error=401.\n")
    assert (answer.code, answer.is_for_ever) == (401, True)
    assert answer_in("A Connection error occurred sending JSON notification to 127.0.0.1.\n").code is None
    assert not answer_in("… error=429.").is_for_ever
    assert answer_in("").words == "no answer"


@pytest.mark.parametrize(
    ("url", "secret"),
    [
        ("slack://T1JJ3T3L2/A1BRTD4JD/TIiajkdnlazkcOXrIdevi7FQ/#lab", "TIiajkdnlazkcOXrIdevi7FQ"),
        ("slack://T1JJ3T3L2/A1BRTD4JD/x", "T1JJ3T3L2"),
        ("ntfys://user:hunter22@ntfy.sh/topic", "hunter22"),
        ("tgram://123456789:abcdefg_hijklmnop/12315544", "abcdefg_hijklmnop"),
        ("json://host.example/?token=abcdefgh", "abcdefgh"),
        ("json://u:p%40ssw0rd@host.example/", "p@ssw0rd"),
    ],
)
def test_no_secret_of_the_url_stays_in_the_words(url: str, secret: str) -> None:
    assert secret not in scrubbed(f"403 for {secret} at {url}", url)


def test_the_server_stays_in_the_words() -> None:
    assert "ntfy.lab.example" in scrubbed("ntfy.lab.example: refused", "ntfys://user:secret1@ntfy.lab.example/topic")
