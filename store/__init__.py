"""What labq remembers: types, state machine, settings, errors, MongoDB and its in-memory twin."""
