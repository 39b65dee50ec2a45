"""A folder as one file, and back. What could not be restored elsewhere is not packed: links out of it become files."""

import tarfile
from pathlib import Path

from store.logbook import warn


def pack(folder: Path) -> Path:
    """The folder as an uncompressed tar file beside it. Raises OSError."""
    packed = folder.with_name(f".{folder.name}.tar")
    inside = folder.resolve()
    with tarfile.open(packed, "w") as archive:
        for path in sorted(folder.rglob("*")):
            _add(archive, path, str(path.relative_to(folder)), inside)
    return packed


def unpack(packed: Path, target: Path) -> None:
    """Raises TarError. The archive is our own; Pythons before 3.11.4 know no filters."""
    careful = {"filter": "data"} if hasattr(tarfile, "data_filter") else {}
    target.mkdir(parents=True, exist_ok=True)
    with tarfile.open(packed) as archive:
        archive.extractall(target, **careful)  # type: ignore[arg-type]


def _add(archive: tarfile.TarFile, path: Path, name: str, inside: Path) -> None:
    if path.is_symlink() and not _stays_inside(path, inside):
        path = path.resolve()
    if path.is_symlink() or path.is_dir():
        archive.add(path, name, recursive=False)
    elif path.is_file():
        archive.add(path, name)
    else:
        warn("not-packed", path=path, because="it is no file, folder or link to one")


def _stays_inside(link: Path, inside: Path) -> bool:
    return not link.readlink().is_absolute() and link.exists() and link.resolve().is_relative_to(inside)
