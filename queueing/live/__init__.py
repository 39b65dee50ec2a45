"""What pages that show something live share: reading in a thread, keys, the terminal, tables, pace."""
