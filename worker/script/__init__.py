"""A run inside somebody's own script: `labq exec`, `labq send --start`."""
