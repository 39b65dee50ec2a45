"""The one error a user can cause."""

from __future__ import annotations


class UserMistake(Exception):
    """Something in the parameters, the data or the checkpoint that only the user can put right.

    Its text is the whole message: it is printed as it is, without a traceback, and the process exits with 2.
    """
