import json
import math

import pytest

from store.metrics import Point
from worker.events import Announced, Batch, EventReader, worth_publishing


def lines(*events: object) -> bytes:
    return b"".join((event if isinstance(event, bytes) else json.dumps(event).encode()) + b"\n" for event in events)


def points_of(batch: Batch) -> list[Point]:
    return sorted((point for one in batch.segments for point in one.points()), key=lambda point: point.line)


def test_metrics_become_points_with_their_line_and_ordinal() -> None:
    reader = EventReader()
    reader.read(lines({"step": 5, "loss": 1.0, "_t": 7.5}), now=0.0)
    batch = reader.read(lines({"step": 6, "loss": 0.5, "acc": 1}), now=9.0)
    assert [(p.name, p.step, p.value, p.line, p.index, p.time) for p in points_of(batch)] == [
        ("loss", 6, 0.5, 2, 1, 9.0), ("acc", 6, 1.0, 2, 0, 9.0),
    ]  # fmt: skip


def test_a_line_without_a_step_follows_the_last_one() -> None:
    batch = EventReader().read(lines({"loss": 1}, {"loss": 2}, {"step": 9, "loss": 3}, {"loss": 4}), 0.0)
    assert [point.step for point in points_of(batch)] == [0, 1, 9, 10]


def test_reserved_keys_are_understood() -> None:
    batch = EventReader().read(
        lines({"_progress": [3, 10]}, {"_checkpoint": "c.npz", "step": 3}, {"_artifact": "/x"}, {"_stop": "diverged"}),
        0,
    )
    assert batch.progress is not None
    assert (batch.progress.done, batch.progress.total) == (3.0, 10.0)
    assert [(c.name, c.step, c.line) for c in batch.checkpoints] == [("c.npz", 3, 2)]
    assert (batch.artifacts, batch.stop) == (("/x",), "diverged")


def test_a_best_checkpoint_is_told_from_the_others() -> None:
    batch = EventReader().read(
        lines({"_checkpoint": "a", "step": 1, "_best": True}, {"_checkpoint": "b", "step": 2}), 0
    )
    assert [(c.name, c.best) for c in batch.checkpoints] == [("a", True), ("b", False)]
    (problem,) = EventReader().read(lines({"_checkpoint": "a", "step": 1, "_best": "yes"}), 0).broken
    assert "_best is 'yes'; allowed: true or false" in problem


def test_of_checkpoints_that_wait_the_newest_best_and_the_newest_are_published_in_their_order() -> None:
    def waiting(text: str) -> list[Announced]:
        return [Announced(name=name, step=0, line=at, best=name.isupper()) for at, name in enumerate(text)]

    chosen = {text: "".join(one.name for one in worth_publishing(waiting(text))) for text in ("", "a", "abC", "AbCde")}
    assert chosen == {"": "", "a": "a", "abC": "C", "AbCde": "Ce"}


def test_of_one_name_the_last_checkpoint_alone_is_there_to_be_published() -> None:
    lines = [Announced(name="a", step=1, line=1, best=True), Announced(name="b", step=2, line=2)]
    again = Announced(name="a", step=3, line=3)
    assert worth_publishing([*lines, again]) == [again]


def test_special_numbers_come_through() -> None:
    batch = EventReader().read(b'{"step": 0, "a": NaN, "b": Infinity, "c": -Infinity, "d": null}\n', 0.0)
    values = {point.name: point.value for point in points_of(batch)}
    assert math.isnan(values["a"])
    assert math.isnan(values["d"])
    assert (values["b"], values["c"]) == (math.inf, -math.inf)


@pytest.mark.parametrize(
    ("line", "says"),
    [
        (b"not json", "is not JSON"),
        (b"[1, 2]", "is no JSON object"),
        (b'{"step": 1.5, "loss": 1}', "step is 1.5"),
        (b'{"step": true, "loss": 1}', "step is True"),
        (b'{"step": 1e30, "loss": 1}', "step is 1e+30"),
        (b'{"step": 1e999, "loss": 1}', "step is inf"),
        (b'{"step": 1, "loss": 1' + b"0" * 400 + b"}", "too large"),
        (b'{"_progress": [1' + b"0" * 400 + b", 1]}", "too large"),
        (b'{"step": 1, "\\ud800": 1}', "half characters"),
        (b'{"_stop": "\\ud800"}', "_stop is"),
        (b'{"_artifact": "a\\u0000b"}', "_artifact is"),
        (b'{"step": 1, "loss": "low"}', "metric 'loss' is 'low'"),
        (b'{"_progress": 3}', "_progress is 3"),
        (b'{"_checkpoint": "../x"}', "_checkpoint is '../x'"),
        (b'{"_chekpoint": "x"}', "'_chekpoint' is no reserved key"),
        (b"\xff\xfe", "is not JSON"),
        (b"{" * 100000, "is not JSON"),
    ],
)
def test_a_broken_line_is_named_and_the_rest_counts(line: bytes, says: str) -> None:
    batch = EventReader().read(lines({"step": 0, "loss": 1}) + line + b"\n" + lines({"step": 1, "loss": 2}), 0.0)
    assert [point.line for point in points_of(batch)] == [1, 3]
    assert len(batch.broken) == 1
    assert batch.broken[0].startswith("event line 2: ")
    assert says in batch.broken[0]


def test_names_that_mongodb_cannot_hold_are_rewritten() -> None:
    batch = EventReader().read(lines({"step": 0, "val.loss": 1, "$x": 2}), 0.0)
    assert [point.name for point in points_of(batch)] == ["val/loss", "_x"]


def test_a_final_value_stands_at_the_newest_step() -> None:
    reader = EventReader()
    batch = reader.read(
        b'{"step": 40, "loss": 1}\n{"step": 7, "loss": 2}\n{"accuracy": 0.5, "_final": true}\n{"loss": 3}\n', 0.0
    )
    assert [(point.name, point.step) for point in points_of(batch)] == [
        ("loss", 40),
        ("loss", 7),
        ("accuracy", 40),
        ("loss", 41),
    ]
    later = EventReader(reached=120).read(b'{"accuracy": 0.5, "_final": true}\n', 0.0)
    assert points_of(later)[0].step == 120, "an attempt that resumed at its end had nothing more to log"
