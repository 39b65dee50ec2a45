"""Figures as live pages write them. Pure."""

from rich.text import Text

from queueing.units import format_duration, format_size

_BAR = 8


def rate_words(per_s: float | None) -> str:
    """`3.2/s`, `4.1/min`, `2.5/h`: the unit that leaves a number above 1."""
    if not per_s:
        return "" if per_s is None else "0/s"
    for unit, size in (("s", 1), ("min", 60), ("h", 3600)):
        if per_s * size >= 1:
            return f"{per_s * size:.3g}/{unit}"
    return f"{per_s * 86400:.2g}/d"


def time_words(seconds: float | None) -> str:
    """`3m 20s`; nothing where it is not known."""
    return "" if seconds is None else format_duration(max(0.0, seconds))


def size_words(size_bytes: float | None) -> str:
    """`1.2 GB`; nothing where it is not known."""
    return "" if size_bytes is None else format_size(size_bytes)


def bar(fraction: float | None, width: int = _BAR) -> Text:
    """A bar and a percentage."""
    if fraction is None:
        return Text("?", style="dim")
    full = int(fraction * width)
    return Text("━" * full, style="green") + Text("─" * (width - full), style="dim") + Text(f" {fraction:4.0%}")


def one_line(text: Text) -> Text:
    """Cut off where the terminal ends."""
    text.no_wrap, text.overflow = True, "ellipsis"
    return text


def harmless(text: str) -> str:
    """Without characters that a terminal would obey: names, parameters and messages are anybody's."""
    return text if text.isprintable() else "".join(one if one.isprintable() else " " for one in text)
