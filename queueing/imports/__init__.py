"""Runs that were carried out elsewhere: Sacred's MongoDB, tables as CSV and JSON lines.

A source yields `Elsewhere`, one run at a time; `bringing` puts them into the store. `sacred` and `rows` say what
documents and rows mean, both pure; `spool` brings the rows of one run together in bounded memory.
"""
