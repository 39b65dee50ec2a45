"""`labq watch`: an experiment or a run, live."""
