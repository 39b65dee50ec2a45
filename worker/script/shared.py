"""A few bytes that `labq exec` shares with the process it forks: what the one has seen and the other must know."""

import mmap
import struct

_FORM = struct.Struct("=BBi16s")
_PRESSED, _STARTED, _CODE, _RUN = range(4)
_CODE_AT, _RUN_AT = 2, 6
_UNKNOWN = -(2**31)


class Shared:
    """Made before the fork. Each field is written by one side only."""

    def __init__(self) -> None:
        self._memory = mmap.mmap(-1, _FORM.size)
        _FORM.pack_into(self._memory, 0, 0, 0, _UNKNOWN, b"")

    @property
    def pressed(self) -> bool:
        """Ctrl-C was pressed."""
        return bool(self._memory[_PRESSED])

    def press(self) -> None:
        """By whoever hears the signal."""
        self._memory[_PRESSED] = 1

    @property
    def started(self) -> bool:
        """The programme runs, or has run."""
        return bool(self._memory[_STARTED])

    def start(self) -> None:
        """By whoever starts it."""
        self._memory[_STARTED] = 1

    @property
    def exit_code(self) -> int | None:
        """That of `labq exec`, as far as it is known: minus the signal that ended the programme."""
        code: int = _FORM.unpack_from(self._memory, 0)[_CODE]
        return None if code == _UNKNOWN else code

    def end(self, exit_code: int) -> None:
        """By whoever saw it end, or found out that it cannot begin."""
        struct.pack_into("=i", self._memory, _CODE_AT, exit_code)

    @property
    def run_id(self) -> str:
        """Empty while it is not known."""
        found: bytes = _FORM.unpack_from(self._memory, 0)[_RUN]
        return found.rstrip(b"\0").decode()

    def name(self, run_id: str) -> None:
        """By whoever has entered."""
        struct.pack_into("16s", self._memory, _RUN_AT, run_id.encode())


def as_shells_have_it(exit_code: int) -> int:
    """128 and the number of the signal."""
    return exit_code if exit_code >= 0 else 128 - exit_code
