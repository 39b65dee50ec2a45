"""The query language: `state=finished and val_loss<0.25 and params.n_hidden in [50, 150] and tag:paper`.

`scanner` cuts the text, `parser` makes a syntax tree of it, `meaning` a `store.query.Condition`: all pure. `asking` is
what verbs call: it gets the names of metrics and parameters from the store.
"""
