"""`labq up`, `labq down`."""

import argparse
import signal
from types import FrameType

from queueing.cli.context import print_json, settings
from store.errors import ExitCode


def up(options: argparse.Namespace) -> int:
    """Start what is not running."""
    from store.connect import mongo_url, redis_url
    from store.servers import lifecycle
    from store.servers.places import places
    from store.settings import mask_url

    signal.signal(signal.SIGTERM, _as_interrupt)
    chosen = settings()
    done = lifecycle.up(chosen)
    if options.json:
        urls = {"mongo_url": mask_url(mongo_url(chosen)), "redis_url": mask_url(redis_url(chosen))}
        print_json({"started": done.started, "already": done.already, "external": done.external, **urls})
        return ExitCode.OK
    for name in done.started:
        print(f"{name}: started")
    for name in done.already:
        print(f"{name}: was running")
    for name in done.external:
        print(f"{name}: yours, as configured; nothing started")
    if done.started or done.already:
        print(f"data: {places(chosen.home).servers}")
    print(f"for other programmes: {mask_url(mongo_url(chosen))}")
    return ExitCode.OK


def down(options: argparse.Namespace) -> int:
    """Stop what is running."""
    from store.servers import lifecycle

    stopped = lifecycle.down(settings())
    if options.json:
        print_json({"stopped": stopped})
    else:
        print(f"stopped: {', '.join(stopped)}" if stopped else "nothing was running")
    return ExitCode.OK


def _as_interrupt(_number: int, _frame: FrameType | None) -> None:
    """SIGTERM ends `up` like Ctrl-C: what it had started is taken back."""
    raise KeyboardInterrupt
