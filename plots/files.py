"""Pictures as files."""

from pathlib import Path

from plots.drawing import WIDTH_PX, drawn
from plots.picture import Picture
from queueing.results.files.replacing import replacing
from store.errors import UserError

FORMATS = ("png", "svg", "pdf")


def format_of(path: Path) -> str:
    """`png`, `svg` or `pdf`, from the name. Raises UserError for another."""
    found = path.suffix.lower().removeprefix(".")
    if found not in FORMATS:
        raise UserError(f"{path}: a picture is .png, .svg or .pdf, and this is {path.suffix or 'without an ending'}")
    return found


def made(picture: Picture, kind: str, width_px: float = WIDTH_PX) -> bytes:
    """The bytes of the file."""
    canvas = drawn(picture, width_px)
    return canvas.png() if kind == "png" else canvas.vector(kind)


def write(data: bytes, path: Path) -> None:
    """Whole, in the place of an old one. Raises UserError."""
    with replacing(path) as partial:
        partial.write_bytes(data)
