"""Output as a person can read it: no colours, no progress bars drawn over themselves."""

import re

_ESCAPES = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)|[@-Z\\-_])")
_CONTROLS = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")


def clean(output: bytes) -> str:
    """Escape sequences removed; of a line rewritten with carriage returns the last version stays."""
    text = _ESCAPES.sub("", output.decode(errors="replace")).replace("\r\n", "\n")
    lines = [line.rstrip("\r").rsplit("\r", 1)[-1] for line in text.split("\n")]
    return _CONTROLS.sub("", "\n".join(lines))


def last_lines(output: bytes, count: int) -> str:
    """The last lines of the cleaned output."""
    return "\n".join(clean(output).rstrip().split("\n")[-count:])
