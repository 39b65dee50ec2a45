"""Colours of the pictures, told apart by people who see red and green alike. White paper, in dark mode too."""

INK, SOFT, FAINT, PAPER = "#1f2937", "#6b7280", "#e5e7eb", "#ffffff"
RUN = "#1d4ed8"
"""The run that the message is about, on data it has not seen."""
RUN_TRAINING = "#7dabf8"
BEST = "#ea7317"
"""The best of its siblings."""
BEST_TRAINING = "#f9c793"
BAND, MIDDLE = "#e3e8ef", "#a3aebd"
"""Where the siblings lie, and their median."""
BAD = "#c81e3a"
"""Not finite; a limit; a failure."""
OTHERS = ("#0f8b6d", "#8b5cf6", "#b45309")
"""Further lines of a panel."""
FADED = "#b6c2d2"
"""One of many."""
HUES = (RUN, BEST, "#0f8b6d", "#8b5cf6")
"""Values of a third parameter."""
MANY = (RUN, BEST, "#0f8b6d", "#8b5cf6", "#0ea5e9", "#92400e", "#db2777", "#4b5563")
"""Values without an order, or runs, of which there are some."""
RAMP = ("#fde047", "#9bd24b", "#35b779", "#1f9e89", "#26828e", "#31688e", "#3e4989", "#440154")
"""From little to much (Matplotlib's viridis, without its lightest end), in grey too."""


def along(share: float, ramp: tuple[str, ...] = RAMP) -> str:
    """The colour at a place between 0 and 1 of a ramp."""
    place = min(max(share, 0.0), 1.0) * (len(ramp) - 1)
    low = min(int(place), len(ramp) - 2)
    pairs = zip(_parts(ramp[low]), _parts(ramp[low + 1]), strict=True)
    return "#" + "".join(f"{round(a + (b - a) * (place - low)):02x}" for a, b in pairs)


def _parts(colour: str) -> tuple[int, ...]:
    return tuple(int(colour[start : start + 2], 16) for start in (1, 3, 5))
