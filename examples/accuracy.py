"""Reads the last line of a run's output, `accuracy 0.93`, and hands it to labq as `name<TAB>value`.

A result command runs in the run's own directory, where output.log is everything that the main command printed.
"""

from pathlib import Path

name, value = Path("output.log").read_text().splitlines()[-1].split()
print(name, value, sep="\t")
