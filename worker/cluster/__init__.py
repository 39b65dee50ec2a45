"""Schedulers of clusters: each behind one file, every call of their programmes with a time-out."""
