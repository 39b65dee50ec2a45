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
