"""The command line: every verb in a file of its own, imported when it is used."""
