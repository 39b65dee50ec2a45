"""A file that is no table."""


class UnreadableTable(ValueError):
    """The whole of it, or from some row on, with the reason."""
