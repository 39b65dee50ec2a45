"""Templates of a user's own: used, checked, and never a reason to lose a message."""

from pathlib import Path

import pytest

from notify.compose import compose, compose_letter
from notify.made_up.notices import one_of_each
from notify.rendering import OURS, Templates
from store.occasions import Occasion

MADE = {notice.about: (notice, story) for notice, story in one_of_each(("ada@lab.example",))}
TEST = MADE[Occasion.TEST]
LOST = MADE[Occasion.WORKER_LOST]


def written(folder: Path, **files: str) -> Templates:
    for name, text in files.items():
        target = folder / name.replace("__", "/")
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(text)
    return Templates(folder)


def test_a_template_of_a_kind_replaces_that_part_of_that_kind_alone(tmp_path: Path) -> None:
    own = written(tmp_path, **{"test.txt.j2": "Hello {{ notice.to[0] }}, {{ letter.title }}"})
    said = compose(*TEST, own)
    assert said.text == "Hello ada@lab.example, Mail from labq reaches you\n"
    assert said.subject == compose(*TEST).subject
    assert said.html == compose(*TEST).html
    assert compose(*LOST, own) == compose(*LOST)


def test_a_block_or_the_style_can_be_replaced_for_all(tmp_path: Path) -> None:
    own = written(tmp_path, **{"blocks__commands.txt.j2": "Ask Ada.", "subject.txt.j2": "LAB {{ letter.subject }}\n\n"})
    assert "Ask Ada." in compose(*LOST, own).text
    assert compose(*LOST, own).subject == "LAB [labq] worker gpu1-1 lost on gpu1.lab"


def test_a_template_can_add_to_ours(tmp_path: Path) -> None:
    own = written(
        tmp_path, **{"letter.txt.j2": "{% include 'labq/letter.txt.j2' %}\n\nThe lab's wiki: https://lab.example\n"}
    )
    text = compose(*LOST, own).text
    assert text.startswith(compose(*LOST).text.rstrip())
    assert text.endswith("The lab's wiki: https://lab.example\n")


@pytest.mark.parametrize(
    ("text", "line", "said"),
    [
        ("one\n{{ runn.id }}", 2, "'runn' is undefined"),
        ("one\ntwo\n{% for x in %}", 3, "Expected an expression"),
        ("{{ ''.__class__.__mro__ }}", 1, "unsafe"),
        ("\n\n{{ 1 // 0 }}", 3, "division"),
        ("{% include 'nowhere.j2' %}", 1, "nowhere.j2"),
        ("{{ notice.to.append('x') }}", 1, "append"),
    ],
)
def test_a_broken_template_is_named_with_its_line_and_ours_is_used(
    tmp_path: Path, text: str, line: int, said: str
) -> None:
    own = written(tmp_path, **{"letter.txt.j2": text})
    notice, story = LOST
    mistake = own.check(compose_letter(notice, story), notice, story)
    assert mistake is not None
    assert mistake.file == str(tmp_path / "letter.txt.j2")
    assert (mistake.line, said in mistake.said) == (line, True)
    sent = compose(notice, story, own)
    assert sent.subject == compose(notice, story).subject
    assert "Your mail template is broken" in sent.text
    assert f"letter.txt.j2, line {line}: " in " ".join(sent.text.split())
    assert "labq workers" in sent.text


def test_html_is_escaped_in_templates_of_users_too(tmp_path: Path) -> None:
    own = written(tmp_path, **{"worker-lost.html.j2": "<p>{{ '<b>' }}</p>"})
    assert compose(*LOST, own).html == "<p>&lt;b&gt;</p>"


def test_a_mended_template_is_used_at_once(tmp_path: Path) -> None:
    own = written(tmp_path, **{"letter.txt.j2": "{{ nothing }}"})
    assert "broken" in compose(*LOST, own).text
    (tmp_path / "letter.txt.j2").write_text("fine")
    assert compose(*LOST, own).text == "fine\n"


def test_names_that_no_message_uses_are_found(tmp_path: Path) -> None:
    own = written(
        tmp_path,
        **{
            "fialed.txt.j2": "x",
            "letter.txt.j2": "{% include 'mine.txt.j2' %}",
            "mine.txt.j2": "y",
            "failed.subject.txt.j2": "s",
        },
    )
    assert own.strays() == [tmp_path / "fialed.txt.j2"]
    assert Templates().strays() == []
    missing = Templates(tmp_path / "gone")
    mistake = missing.check(compose_letter(*LOST), *LOST)
    assert mistake is not None
    assert "no such folder" in mistake.said
    assert compose(*LOST, missing).text == compose(*LOST).text


def test_every_kind_of_block_has_both_templates() -> None:
    from typing import get_args

    from notify.letters.letter import Block

    kinds = {block.kind for block in get_args(Block)}
    assert {path.name for path in (OURS / "blocks").iterdir()} == {
        f"{kind}.{part}.j2" for kind in kinds for part in ("txt", "html")
    }
