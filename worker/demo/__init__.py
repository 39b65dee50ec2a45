"""`labq demo`: the whole of labq in about a minute, in a temporary place, with nothing but what pip installed."""
