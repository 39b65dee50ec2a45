"""Who can be told."""

import pytest

from store.recipients import is_address, is_target, recipient_mistake


@pytest.mark.parametrize("good", ["me@lab.example", "a.b+c@lab", "jürgen@labör.example"])
def test_an_address(good: str) -> None:
    assert is_address(good)
    assert not is_target(good)
    assert recipient_mistake(good, targets=()) == ""


@pytest.mark.parametrize(
    "bad", ["", "me", "me@", "@lab", "a@b@c", "a b@c", "a@b\n", "a@b\nBcc: c@d", "Me <me@lab>", "a@b,c@d", "a@b;", "a\x00@b", "a@b\u2028"]
)  # fmt: skip
def test_what_is_no_address(bad: str) -> None:
    assert not is_address(bad)


@pytest.mark.parametrize("name", ["ntfy:phone", "slack:lab", "ntfy-2:x", "a:b.c"])
def test_a_chat_target_is_a_name(name: str) -> None:
    assert is_target(name)
    assert recipient_mistake(name) == ""
    assert recipient_mistake(name, targets=(name,)) == ""


def test_a_url_is_no_recipient_for_it_holds_a_token() -> None:
    assert "neither" in recipient_mistake("slack://token/channel")


def test_an_unknown_target_is_told_with_those_there_are() -> None:
    assert "did you mean 'slack:lab'?" in recipient_mistake("slack:lap", targets=("slack:lab", "ntfy:phone"))
    assert "there are: ntfy:phone" in recipient_mistake("zzz:z", targets=("ntfy:phone",))
    assert "there are: none" in recipient_mistake("zzz:z", targets=())
