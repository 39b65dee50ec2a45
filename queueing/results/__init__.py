"""Tables of results: one row per run, means over repeats, pivots; on the terminal and as files.

`asking` is what people want, `report` reads the store and makes `table.Table`s of it; what is in between is pure.
`files` writes tables, one file per format.
"""
