"""Options of `labq exec` and `labq send`."""

import argparse
import re


def exec_options(parser: argparse.ArgumentParser) -> None:
    """`labq exec`."""
    parser.usage = "labq exec [options] -- COMMAND …"
    parser.description = (
        "Run a command of a script of your own (sbatch, qsub, nohup, tmux) as a run that labq tracks: parameters, git, "
        "output, metrics, checkpoints, files, its end. The command's output appears here as ever, signals reach it, "
        "and its exit code is that of `labq exec`. It runs also while labq's servers are away."
    )
    parser.add_argument(
        "--name", type=_name, metavar="EXP", help="experiment (default: the job's name, or the programme's)"
    )
    parser.add_argument(
        "--param", action="append", default=[], metavar="NAME=VALUE",
        help="a parameter; repeatable. Of the command, --lr=0.1, --lr 0.1 (numbers) and lr=0.1 are taken by themselves",
    )  # fmt: skip
    parser.add_argument("--tag", action="append", type=_name, default=[], metavar="TAG", help="a tag; repeatable")
    parser.add_argument(
        "--files", action="append", default=[], metavar="PATTERN",
        help="keep these files when it has ended, such as 'out/*.csv'; repeatable",
    )  # fmt: skip
    parser.add_argument("--key", metavar="TEXT", help="the same key in the same experiment goes on with the same run")
    parser.add_argument("--resume", metavar="RUN", help="go on with this run, from its checkpoint")
    parser.add_argument(
        "--requeue", action="store_true", help="when the job's time ends before it: ask the scheduler for the job again"
    )
    parser.add_argument("--grace", metavar="TIME", help="from SIGTERM to SIGKILL, when it is to leave (default 30s)")
    parser.add_argument(
        "--notify", action="append", default=[], metavar="TO",
        help="who is told when it has finished, failed or was interrupted; repeatable (default: as in the experiment)",
    )  # fmt: skip
    away_option(parser)
    parser.add_argument("--quiet", action="store_true", help="no line about the run on stderr")
    parser.add_argument("--verbose", action="store_true", help="log lines of the worker on stderr")
    parser.add_argument("command", nargs=argparse.REMAINDER, metavar="-- COMMAND …", help="what to run, after --")
    parser.epilog = (
        "Example: labq exec --name weather --files 'out/*.csv' -- python train.py --lr 0.1. Exit code: the command's "
        "own; 2 for a mistake in what you gave, 3 with --if-away fail, 126 and 127 as in a shell. See docs/exec.md."
    )


def send_options(parser: argparse.ArgumentParser) -> None:
    """`labq send`."""
    parser.usage = "labq send [NAME=NUMBER …] [options]"
    parser.description = (
        "Report from a script without Python: metrics, progress, files, log lines. Under labq exec or a worker the run "
        "is known; a script that is not under labq begins one with --start and ends it with --finish. It is written to "
        "the run's folder on this machine, so it is quick, and MongoDB may be away."
    )
    parser.add_argument("assigned", metavar="NAME=NUMBER", nargs="*", help="metrics, such as: step=10 loss=0.3")
    parser.add_argument("--progress", metavar="HOW-FAR", help="0.4, 40%% or 30/120")
    parser.add_argument(
        "--file",
        action="extend",
        nargs="+",
        default=[],
        metavar="FILE",
        help="keep these files with the run",
    )
    parser.add_argument("--log", action="append", default=[], metavar="TEXT", help="a line for the log; - reads stdin")
    parser.add_argument("--checkpoint", metavar="PATH", help="keep a file or folder to go on from; its step: step=N")
    parser.add_argument("--stop", metavar="WORD", help="declare the run over: diverged fails it, else a remark")
    parser.add_argument("--run", metavar="RUN", help="of this run (default: LABQ_RUN)")
    begun = parser.add_argument_group("a script that is not under labq exec")
    begun.add_argument("--start", action="store_true", help="begin a run, print its id: LABQ_RUN=$(labq send --start)")
    begun.add_argument("--name", type=_name, metavar="EXP", help="experiment (default: the job's, or the script's)")
    begun.add_argument("--param", action="append", default=[], metavar="NAME=VALUE", help="a parameter; repeatable")
    begun.add_argument("--tag", action="append", type=_name, default=[], metavar="TAG", help="a tag; repeatable")
    begun.add_argument("--key", metavar="TEXT", help="the same key in the same experiment goes on with the same run")
    begun.add_argument("--notify", action="append", default=[], metavar="TO", help="who is told of its end; repeatable")
    begun.add_argument(
        "--pid",
        type=_pid,
        metavar="PID",
        help="the process whose end ends the run: --pid $$ (default: the script)",
    )
    begun.add_argument(
        "--export",
        action="store_true",
        help='print variables: eval "$(labq send --start --export)"; then labq.log works',
    )
    away_option(begun)
    begun.add_argument("--finish", action="store_true", help="the run is over; waits until everything is stored")
    begun.add_argument("--exit-code", type=_code, metavar="N", help="with --finish: how it ended (default 0)")
    begun.add_argument("--wait", type=_code, default=60, metavar="SECONDS", help="with --finish: at most so long (60)")
    parser.add_argument("--unsent", action="store_true", help="store what ended while MongoDB was away")
    parser.epilog = (
        "Exit codes: 0 written, 1 the run is over, 2 a mistake in what you gave, 3 not stored yet. See docs/exec.md."
    )


def away_option(parser: argparse._ActionsContainer) -> None:
    """When MongoDB does not answer at the beginning."""
    parser.add_argument(
        "--if-away", choices=("run", "wait", "fail"),
        help="MongoDB does not answer: run all the same and tell later, wait, or fail with exit code 3 (default: run; "
        "a run that may have a checkpoint there waits for outage_grace_s first)",
    )  # fmt: skip


def _pid(text: str) -> int:
    if not re.fullmatch("[0-9]{1,10}", text) or int(text) < 2:
        raise argparse.ArgumentTypeError(f"{text!r} is no process id")
    return int(text)


def _code(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to 99999")
    return int(text)


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        raise argparse.ArgumentTypeError(f"{text!r}: allowed: letters, digits, '.', '_' and '-'")
    return text
