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


def away_option(parser: argparse.ArgumentParser) -> None:
    """When MongoDB does not answer at the beginning."""
    parser.add_argument(
        "--if-away", choices=("run", "wait", "fail"),
        help="MongoDB does not answer: run all the same and tell later, wait, or fail with exit code 3 (default: run; "
        "a run that may have a checkpoint there waits for outage_grace_s first)",
    )  # fmt: skip


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        raise argparse.ArgumentTypeError(f"{text!r}: allowed: letters, digits, '.', '_' and '-'")
    return text
