"""Options of the verbs that ask schedulers for places."""

import argparse
import re

SCHEDULERS = ("slurm", "sge", "local")
EVERYWHERE = (*SCHEDULERS, "ssh")


def workers_actions(parser: argparse.ArgumentParser) -> None:
    """`labq workers` alone lists them."""
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=False)
    start = _action(
        actions,
        "start",
        "worker.cluster.cli:start",
        "start workers as jobs of a cluster, on other machines by ssh, or in the background here",
    )
    on_option(start, "where: jobs of Slurm or SGE, machines by ssh, this machine", EVERYWHERE, required=True)
    start.add_argument(
        "-n", "--count", type=_count, default=1, metavar="N", help="how many, on each host of ssh (default 1)"
    )
    host_options(start)
    start.add_argument("--more", action="store_true", help="with ssh: also where there are so many already")
    place_options(start)
    start.add_argument(
        "--dry-run", action="store_true", help="print the script and what would be called, start nothing"
    )
    stop = _action(actions, "stop", "worker.cluster.cli:stop", "let workers leave that were started so")
    stop.add_argument("which", metavar="ID", nargs="*", help="places, submissions, jobs, hosts of ssh, or workers")
    on_option(stop, "all that were started there", EVERYWHERE)
    stop.add_argument("--all", action="store_true", help="all that you started, wherever")
    stop.add_argument("--now", action="store_true", help="runs checkpoint and go back to the queue, not end first")

    examine = _action(
        actions, "doctor", "worker.health.cli:doctor", "say whether workers could work, here or on other machines"
    )
    host_options(examine, optional=True)
    # The other end of ssh: no verb for people, so it has no help.
    far = actions.add_parser("far", allow_abbrev=False)
    far.set_defaults(target="worker.cluster.far:far")


def host_options(parser: argparse.ArgumentParser, *, optional: bool = False) -> None:
    """Machines that ssh reaches, and labq there. `optional`: `--hosts` alone means those of the setting."""
    words = "such as gpu1,gpu[3-9] (default: the setting hosts)"
    if optional:
        parser.add_argument("--hosts", metavar="HOSTS", nargs="?", const="", help=words)
    else:
        parser.add_argument("--hosts", metavar="HOSTS", help=words)
    parser.add_argument("--labq", metavar="COMMAND", help="how labq starts there (default: remote_labq)")


def tunnel_options(parser: argparse.ArgumentParser) -> None:
    """`labq tunnel`."""
    host_options(parser)
    parser.add_argument("--list", action="store_true", help="list the tunnels that are kept from here")
    parser.add_argument("--dry-run", action="store_true", help="print what would be called")


def own_job_options(parser: argparse.ArgumentParser) -> None:
    """`labq enqueue --on slurm`."""
    parser.add_argument(
        "--on", choices=("slurm", "sge"), metavar="slurm|sge", help="each run as a job of its own, with what it wants"
    )
    parser.add_argument("--time", metavar="TIME", help="with --on: of each job (default: the run's time limit)")
    scheduler_options(parser)


def scale_options(parser: argparse.ArgumentParser) -> None:
    """`labq scale`."""
    on_option(parser, "where", required=True)
    parser.add_argument(
        "--max", type=_count, required=True, metavar="N", help="never more places, waiting ones counted"
    )
    place_options(parser)
    parser.add_argument("--every", metavar="TIME", help="pause between two rounds (default 15s)")
    parser.add_argument("--once", action="store_true", help="one round, then leave")


def _action(
    actions: "argparse._SubParsersAction[argparse.ArgumentParser]", name: str, target: str, summary: str
) -> argparse.ArgumentParser:
    described = summary[0].upper() + summary[1:] + "."
    added = actions.add_parser(name, help=summary, description=described, allow_abbrev=False)
    added.set_defaults(target=target)
    added.add_argument("--json", action="store_true", default=argparse.SUPPRESS, help="print JSON for programmes")
    return added


def on_option(
    parser: argparse.ArgumentParser, summary: str, choices: tuple[str, ...] = SCHEDULERS, *, required: bool = False
) -> None:
    """`--on slurm`."""
    parser.add_argument("--on", choices=choices, required=required, metavar="|".join(choices), help=summary)


def place_options(parser: argparse.ArgumentParser) -> None:
    """What a place is to have, and how it is asked for."""
    parser.add_argument("--queue", type=_name, metavar="QUEUE", help="queue to serve (default: the setting `queue`)")
    parser.add_argument(
        "--tag", action="append", type=_name, default=[], metavar="TAG", help="of its machine; repeatable"
    )
    parser.add_argument("--time", metavar="TIME", help="how long, such as 4h or 1d12h (default: allocation_time_s)")
    parser.add_argument("--memory", metavar="SIZE", help="such as 12GB or 16GiB")
    parser.add_argument("--cpus", type=_count, metavar="N", help="processors (default 1)")
    parser.add_argument("--gpus", metavar="N", help="GPUs: 1, or with their kind a100:1 (default none)")
    scheduler_options(parser)
    parser.add_argument("--idle-exit", metavar="TIME", help="workers leave after this time without work, such as 10m")


def scheduler_options(parser: argparse.ArgumentParser) -> None:
    """How the scheduler is asked; settings may say it once and for all."""
    parser.add_argument("--partition", metavar="NAME", help="partition of Slurm, queue of SGE")
    parser.add_argument("--account", metavar="NAME", help="account of Slurm, project of SGE")
    parser.add_argument("--constraint", metavar="TEXT", help="--constraint of Slurm, a resource (-l) of SGE")
    parser.add_argument(
        "--option",
        action="append",
        default=[],
        metavar="OPTION",
        help="for sbatch, qsub: --option=--qos=long; repeatable",
    )
    parser.add_argument("--module", action="append", default=[], metavar="MODULE", help="module load it; repeatable")


def _count(text: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to 99999")
    return int(text)


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        raise argparse.ArgumentTypeError(f"{text!r}: allowed: letters, digits, '.', '_' and '-'")
    return text
