import os
from pathlib import Path

from worker.events import Announced
from worker.published import forget, hold, look, newest_file

LINE = Announced(name="last.pt", step=4, line=5)


def publish(folder: Path, text: str, name: str = "last.pt") -> None:
    hidden = folder / ".part"
    hidden.write_text(text)
    hidden.rename(folder / name)


def test_files_folders_and_links_are_seen_and_nothing_else(tmp_path: Path) -> None:
    publish(tmp_path, "4")
    (tmp_path / ".hidden").touch()
    (tmp_path / "model").mkdir()
    (tmp_path / "link").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / os.fsdecode(b"mod\xe8le.pt")).touch()
    assert sorted(look(tmp_path)) == ["last.pt", "link", "model"]
    assert look(tmp_path / "no-such-folder") == {}


def test_what_is_held_stays_what_it_was_when_another_takes_its_name(tmp_path: Path) -> None:
    publish(tmp_path, "4")
    held = hold(tmp_path, LINE, look(tmp_path))
    assert held is not None
    publish(tmp_path, "9")
    for _ in range(2):
        assert held.path().read_text() == "4"
    assert held.is_unchanged()
    held.close()


def test_what_was_replaced_after_the_look_is_not_taken_for_what_was_announced(tmp_path: Path) -> None:
    publish(tmp_path, "4")
    seen = look(tmp_path)
    publish(tmp_path, "9")
    assert hold(tmp_path, LINE, seen) is None
    assert hold(tmp_path, LINE, {}) is None


def test_a_folder_that_was_replaced_while_it_waited_is_noticed(tmp_path: Path) -> None:
    (tmp_path / "last.pt").mkdir()
    held = hold(tmp_path, LINE, look(tmp_path))
    assert held is not None
    assert held.is_unchanged()
    (tmp_path / "last.pt").rename(tmp_path / ".away")
    (tmp_path / "last.pt").mkdir()
    assert not held.is_unchanged()


def test_only_what_is_still_the_same_is_forgotten(tmp_path: Path) -> None:
    publish(tmp_path, "4")
    mark = look(tmp_path)["last.pt"]
    publish(tmp_path, "9")
    forget(tmp_path, mark)
    assert (tmp_path / "last.pt").read_text() == "9"
    forget(tmp_path, look(tmp_path)["last.pt"])
    assert look(tmp_path) == {}


def test_the_newest_is_told_by_its_rename_and_links_are_left_aside(tmp_path: Path) -> None:
    publish(tmp_path, "1", "a")
    marks = look(tmp_path)
    publish(tmp_path, "2", "b")
    (tmp_path / "link").symlink_to("a")
    later = {**look(tmp_path), "a": ("a", *marks["a"][1:2], 0)}
    assert newest_file(later, tmp_path) == "b"
    assert newest_file({}, tmp_path) is None
