"""The `labq` script. Nothing heavy is imported before a verb needs it: `labq --help` is there in a blink."""

import errno
import io
import os
import sys
from importlib import import_module

from queueing.shadowing import prefer_own_packages

prefer_own_packages()

from queueing.cli.parser import build_parser, whole  # noqa: E402
from store.errors import ExitCode, LabqError  # noqa: E402


def main(arguments: list[str] | None = None) -> int:
    """Run one verb; a user's mistake is one clear message and a non-zero exit code, never a traceback."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # a terminal that knows ASCII only is no reason to fail
    options = build_parser().parse_args(whole(sys.argv[1:] if arguments is None else arguments))
    module, function = options.target.split(":")
    try:
        code = int(getattr(import_module(module), function)(options) or ExitCode.OK)
        sys.stdout.flush()
        return code
    except LabqError as error:
        print(_complaint(error), file=sys.stderr)
        return error.exit_code
    except KeyboardInterrupt:
        return ExitCode.INTERRUPTED
    except BrokenPipeError:
        # The reader of our output has left (`labq ls | head`). Python would complain again while closing stdout.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.OK
    except OSError as error:
        if error.errno not in (errno.ENOSPC, errno.EIO, errno.EDQUOT):
            raise
        print(f"labq: {error.strerror}: {error.filename or 'the output'} cannot be written", file=sys.stderr)
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return ExitCode.FAILED


def _complaint(error: LabqError) -> str:
    return "\n".join(f"labq: {line}" for line in str(error).splitlines())


if __name__ == "__main__":
    sys.exit(main())
