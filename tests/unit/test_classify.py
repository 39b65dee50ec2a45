import errno

import pytest

from store.states import Reason
from worker.classify import classify, is_machine_trouble, reason_of_trouble, traceback_in

TRACE = """epoch 3
Traceback (most recent call last):
  File "train.py", line 3, in <module>
    main()
ValueError: shapes (3,) and (4,) do not match
bye
"""


def reason(exit_code: int, tail: str = "", said: str = "", stopped_for: Reason | None = None) -> Reason | None:
    return classify(stopped_for=stopped_for, exit_code=exit_code, said=said, tail=tail, peak_memory_bytes=None).reason


@pytest.mark.parametrize(
    ("exit_code", "tail", "expected"),
    [
        (0, "anything: out of memory", None),
        (1, "", Reason.ERROR),
        (3, TRACE, Reason.ERROR),
        (-9, "", Reason.KILLED),
        (-11, "Segmentation fault", Reason.KILLED),
        (1, "MemoryError", Reason.OUT_OF_MEMORY),
        (1, "torch.cuda.OutOfMemoryError: CUDA out of memory. Tried to allocate", Reason.OUT_OF_MEMORY),
        (-6, "terminate called after throwing an instance of 'std::bad_alloc'", Reason.OUT_OF_MEMORY),
        (1, "OSError: [Errno 28] No space left on device: 'x'", Reason.DISK_FULL),
        (1, "out of memory\n" + "fine again\n" * 60, Reason.ERROR),
    ],
)
def test_the_reason_follows_from_exit_code_and_last_words(exit_code: int, tail: str, expected: Reason | None) -> None:
    assert reason(exit_code, tail) is expected


@pytest.mark.parametrize(
    ("exit_code", "tail", "stopped_for", "expected"),
    [
        (1, "", None, Reason.DISK_FULL),
        (-7, "", None, Reason.DISK_FULL),  # SIGBUS: a mapped file that could not grow
        (1, "MemoryError", None, Reason.OUT_OF_MEMORY),
        (-9, "", None, Reason.KILLED),
        (0, "", None, None),
        (1, "", Reason.STOPPED, Reason.STOPPED),
    ],
)
def test_who_dies_without_a_word_on_a_full_disk_died_of_it(
    exit_code: int, tail: str, stopped_for: Reason | None, expected: Reason | None
) -> None:
    ending = classify(
        stopped_for=stopped_for, exit_code=exit_code, said="", tail=tail, peak_memory_bytes=None,
        disk_is_full=lambda: True,
    )  # fmt: skip
    assert ending.reason is expected
    assert ending.message.startswith("the disk of the run directory is full") == (expected is Reason.DISK_FULL)


def test_a_stop_of_ours_explains_every_exit_code() -> None:
    assert [reason(code, stopped_for=Reason.TIME_LIMIT) for code in (0, 1, -9, -15)] == [Reason.TIME_LIMIT] * 4


def test_a_script_that_says_it_diverged_has_failed_with_any_exit_code() -> None:
    assert reason(0, said="diverged") is Reason.DIVERGED
    assert reason(0, said="early-stopping") is None


def test_the_message_is_the_last_line_of_the_traceback() -> None:
    ending = classify(stopped_for=None, exit_code=1, said="", tail=TRACE, peak_memory_bytes=5)
    assert ending.message == "ValueError: shapes (3,) and (4,) do not match"
    assert traceback_in(TRACE).count("\n") == 3
    assert (ending.exit_code, ending.signal, ending.peak_memory_bytes) == (1, None, 5)


def test_a_signal_is_named() -> None:
    ending = classify(stopped_for=None, exit_code=-9, said="", tail="", peak_memory_bytes=None)
    assert (ending.signal, ending.exit_code) == (9, None)
    assert "SIGKILL" in ending.message


@pytest.mark.parametrize(
    ("number", "machine", "reason"),
    [
        (errno.ENOSPC, True, Reason.DISK_FULL),
        (errno.EDQUOT, True, Reason.DISK_FULL),
        (errno.EAGAIN, True, Reason.REFUSED),
        (errno.EMFILE, True, Reason.REFUSED),
        (errno.ENOENT, False, Reason.REFUSED),
        (errno.EACCES, False, Reason.REFUSED),
        (errno.E2BIG, False, Reason.REFUSED),
    ],
)
def test_a_machine_in_trouble_is_told_from_a_command_that_cannot_be_started(
    number: int, machine: bool, reason: Reason
) -> None:
    error = OSError(number, "no")
    assert (is_machine_trouble(error), reason_of_trouble(error)) == (machine, reason)


def test_a_value_that_does_not_fit_its_format_is_no_trouble_of_the_machine() -> None:
    assert not is_machine_trouble(ValueError("no"))
