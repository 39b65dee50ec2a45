"""Which format a file has: by the end of its name, or as asked."""

from enum import StrEnum
from pathlib import Path

from store.errors import UserError


class Format(StrEnum):
    """The values are the ends of file names."""

    CSV = "csv"
    TSV = "tsv"
    XLSX = "xlsx"
    PARQUET = "parquet"
    TEX = "tex"
    MARKDOWN = "md"
    JSON = "json"


_ALSO = {"markdown": Format.MARKDOWN, "latex": Format.TEX, "excel": Format.XLSX}
BINARY = frozenset({Format.XLSX, Format.PARQUET})
ONE_TABLE = frozenset({Format.CSV, Format.TSV, Format.PARQUET})


def format_named(name: str) -> Format:
    """Raises UserError."""
    plain = name.lower().lstrip(".")
    if plain in _ALSO:
        return _ALSO[plain]
    if plain not in list(Format):
        raise UserError(f"{name!r} is no format of a table; allowed: {', '.join(Format)}")
    return Format(plain)


def format_of(path: Path) -> Format:
    """Raises UserError for a name that does not tell."""
    if not path.suffix:
        raise UserError(
            f"{path}: the name does not tell the format; end it in one of .{', .'.join(Format)}, or --format"
        )
    try:
        return format_named(path.suffix)
    except UserError as error:
        raise UserError(f"{path}: {error}") from error
