"""Python's search for cycles among objects, put off while hundreds of thousands of them are made that have none."""

import gc
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def no_search_for_cycles() -> Iterator[None]:
    """A quarter of the time that documents take goes into it. What is no longer used is freed all the same."""
    searched = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if searched:
            gc.enable()
