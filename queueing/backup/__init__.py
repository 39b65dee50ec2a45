"""`labq backup` and `labq restore`."""
