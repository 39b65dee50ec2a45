"""What the readers of .npy, .npz and JSON raise for content that is none of these."""

from __future__ import annotations

import struct
import zipfile
import zlib
from lzma import LZMAError
from tokenize import TokenError

# NumPy reads a header as a Python literal; a size in it may be any number.
DAMAGE = (
    OSError, ValueError, LookupError, TypeError, AttributeError, EOFError, OverflowError, MemoryError, RecursionError,
    SyntaxError, TokenError, struct.error, zlib.error, LZMAError, zipfile.BadZipFile, NotImplementedError, RuntimeError,
)  # fmt: skip
