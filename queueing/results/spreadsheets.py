"""openpyxl, imported when a workbook is read or written: it takes a while."""

from typing import Any


def openpyxl() -> Any:
    """The package."""
    import openpyxl

    return openpyxl
