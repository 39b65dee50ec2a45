"""The other end of ssh: `labq workers far` reads one request from stdin and answers with one line of JSON.

What holds a password comes by stdin too, never by the command line. Whatever a login shell prints before the answer is
told apart by a mark.
"""

import argparse
import json
import os
import socket
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict
from typing import Any

from queueing.cli.context import jsonable
from store.errors import ExitCode, LabqError, UserError
from store.settings import PROTOCOL_VARIABLES, load
from worker.facts import labq_version

PROTOCOL = 1
MARK = "labq-answer:"

Request = Mapping[str, Any]


def far(_options: argparse.Namespace) -> int:
    """Errors are answers, too."""
    try:
        request = json.load(sys.stdin)
        answer = _answered(request)
    except LabqError as error:
        answer = {"error": str(error), "code": int(error.exit_code)}
    except (ValueError, KeyError, TypeError) as error:
        answer = {"error": f"a request that is not understood: {error!r}", "code": int(ExitCode.FAILED)}
    print(f"\n{MARK}{json.dumps(jsonable(answer))}", flush=True)
    return ExitCode.OK


def _answered(request: Request) -> dict[str, Any]:
    if request["protocol"] != PROTOCOL:
        raise UserError(f"labq {labq_version()} there speaks another protocol: install the same version on both sides")
    _take_settings(request.get("env", {}))
    deeds: dict[str, Callable[[Request], dict[str, Any]]] = {
        "hello": _hello,
        "start": _start,
        "cancel": _cancel,
        "doctor": _doctor,
        "sockets": _sockets,
        "reach": _reach,
    }
    return {**_who(), **deeds[request["do"]](request)}


def _take_settings(given: Mapping[str, str]) -> None:
    """Those that workers would get. What describes a run around us is none of theirs."""
    for name in PROTOCOL_VARIABLES:
        os.environ.pop(name, None)
    os.environ.update(given)


def _who() -> dict[str, Any]:
    from store.mongo.schema import VERSION

    return {"host": socket.gethostname(), "labq": labq_version(), "schema": VERSION, "now": time.time()}


def _jobs() -> list[dict[str, Any]]:
    from worker.cluster.local import Local

    return [asdict(job) for job in Local().jobs()]


def _hello(_request: Request) -> dict[str, Any]:
    from worker.cluster.far_start import lasting
    from worker.cluster.handing import logs_folder

    how = lasting()
    return {"jobs": _jobs(), "logs": str(logs_folder(load().settings)), "how": how.way, "hint": how.hint}


def _start(request: Request) -> dict[str, Any]:
    from worker.cluster.far_start import start_workers

    numbers = start_workers(
        load().settings, request["script"], request["submission"], int(request["count"]), request["secrets"]
    )
    return {"numbers": numbers, "jobs": _jobs()}


def _cancel(request: Request) -> dict[str, Any]:
    from worker.cluster.local import Local

    Local().cancel([str(number) for number in request["numbers"]])
    return {}


def _doctor(_request: Request) -> dict[str, Any]:
    from worker.health.here import examine_here

    return {"rows": examine_here(load().settings)}


def _sockets(request: Request) -> dict[str, Any]:
    from worker.tunnel.far_sockets import make_room

    room: dict[str, Any] = make_room(load().settings, request["mark"])
    return room


def _reach(_request: Request) -> dict[str, Any]:
    from worker.health.servers import server_rows

    return {"rows": server_rows(load().settings)}
