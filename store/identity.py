"""Who we are on this machine."""

import getpass
import os


def user_name() -> str:
    """The login name, or the number of a user that has none (as in many containers)."""
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return str(os.getuid())
