"""Runs and curves in the hands of a Python programme: `labq.runs`, `labq.curves`; tables for pandas and polars.

`lab` is the connection that objects share, `found` a run and `runs` a list of them that is read when it is looked at;
`columns` collects values page by page, `tables` makes data frames of them, `curves` the long table of points.
"""
