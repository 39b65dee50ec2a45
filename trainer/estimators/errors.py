"""Errors as callers of a library expect them."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from trainer.errors import UserMistake


class NotFittedError(ValueError, AttributeError):
    """The estimator has not seen data yet."""


def not_fitted(estimator: object) -> Exception:
    """scikit-learn's own error where it is loaded, so that code that catches it does."""
    exceptions: Any = sys.modules.get("sklearn.exceptions")
    kind = NotFittedError if exceptions is None else exceptions.NotFittedError
    found: Exception = kind(f"this {type(estimator).__name__} is not fitted yet: call fit first")
    return found


@contextmanager
def as_value_errors() -> Iterator[None]:
    """A mistake of the user keeps its sentence and becomes a ValueError."""
    try:
        yield
    except UserMistake as mistake:
        raise ValueError(str(mistake)) from None
