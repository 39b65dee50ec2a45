"""All verbs and their options. `target` names the function that carries a verb out; it is imported only then."""

import argparse
import re
from collections.abc import Callable
from typing import Protocol

from queueing.cli.places_options import own_job_options, scale_options, tunnel_options, workers_actions
from queueing.cli.plot_options import plot_options, report_options
from queueing.cli.results_options import results_options
from queueing.cli.script_options import exec_options, send_options

_Option = Callable[[argparse.ArgumentParser], None]


class _Verb(Protocol):
    """Adds a verb to the command line."""

    def __call__(self, name: str, target: str, summary: str, *options: _Option) -> None: ...


_EPILOG = "Exit codes: 0 done, 1 failed, 2 a mistake in what you gave, 3 a server is away, 130 interrupted."


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="labq",
        description="An experiment queue: enqueue, go home, lose nothing.",
        epilog=_EPILOG,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version, nargs=0, help="print the version and leave")
    verbs = parser.add_subparsers(title="verbs", metavar="VERB", required=True)

    def verb(name: str, target: str, summary: str, *options: _Option) -> None:
        described = summary[0].upper() + summary[1:] + "."
        added = verbs.add_parser(name, help=summary, description=described, allow_abbrev=False)
        added.set_defaults(target=target)
        added.add_argument("--json", action="store_true", help="print JSON for programmes")
        for option in options:
            option(added)

    for add in (_servers, _work, _looking, _changing):
        add(verb)
    return parser


def _servers(verb: _Verb) -> None:
    """Servers and settings."""
    verb("up", "queueing.cli.servers:up", "start the embedded servers of this user")
    verb("down", "queueing.cli.servers:down", "stop the embedded servers; the data stays")
    verb("doctor", "worker.leftovers:doctor", "say what is running, where the data is, and what is wrong", _doctor)
    verb("backup", "queueing.cli.backup:backup", "write the whole database into a file, while runs go on", _backup)
    verb("restore", "queueing.cli.backup:restore", "read a backup back into an empty database", _restore)
    verb("config", "queueing.cli.config:config", "show each setting, its value and where it comes from")
    verb(
        "tunnel", "worker.tunnel.cli:tunnel", "lead machines to servers that they cannot reach, by ssh", tunnel_options
    )
    verb("demo", "worker.demo.cli:demo", "see all of it in about a minute, in a temporary place", _demo)


def _work(verb: _Verb) -> None:
    """Queueing runs, carrying them out, telling of them."""
    verb(
        "enqueue",
        "worker.cluster.enqueue_cli:enqueue",
        "queue the runs of an experiment file",
        _file,
        _dry_run,
        own_job_options,
    )
    verb("worker", "worker.cli:worker", "pull runs and carry them out", _worker)
    verb("exec", "worker.script.cli:exec_command", "run a command of your own script as a run", exec_options)
    verb("send", "queueing.cli.send:send", "report from a script without Python", send_options)
    verb(
        "scale",
        "worker.cluster.scale_cli:scale",
        "as many workers as the queue can use",
        scale_options,
    )
    verb(
        "study", "queueing.cli.study:show_study", "how a study stands: best trials, importances, budget", _study, _plots
    )
    verb("optimize", "queueing.cli.study:optimize", "ask for trials in the foreground, until the study is over", _study)
    verb("ask", "queueing.cli.ask:ask", "the next trial of a study, or one of yours", _study, _ask)
    verb("tell", "queueing.cli.ask:tell", "say what came of a trial that was run elsewhere", _study, _tell)
    verb("smac-run", "queueing.cli.smac:smac_run", "the algorithm that a SMAC 2 scenario calls", _smac)
    verb("notify", "notify.cli:notify", "send the mails that are owed", _notify)
    verb("outbox", "notify.outbox_cli:outbox", "messages: owed, put off, refused, sent; try again, drop", _outbox)
    verb("rules", "queueing.cli.rules:rules", "who is told of what: list, set, check or remove rules", _rules)
    verb("mute", "queueing.cli.mute:mute", "no messages about an experiment or a run", _mute)
    verb("unmute", "queueing.cli.mute:unmute", "messages about an experiment or a run again", _muted)
    verb("warm", "queueing.cli.trainer:warm", "compile the trainer's kernels now, so that no run waits for it")
    verb("bench", "queueing.cli.trainer:bench", "time the trainer: threads x batch sizes, two ways to share", _bench)


def _looking(verb: _Verb) -> None:
    """Looking at runs and at the whole lab."""
    verb("top", "queueing.cli.top:top", "the whole lab, live: workers, machines, GPUs, runs, queues", _top)
    verb("watch", "queueing.cli.watch:watch", "an experiment or a run, live: curves, table, findings", _watch)
    verb("ls", "queueing.cli.ls:ls", "list runs: all, or those a query asks for", _which_runs, _table)
    verb("views", "queueing.cli.ls:views", "list what was saved with `labq ls --save`", _views)
    verb("best", "queueing.cli.best:best_runs", "the best run of an experiment, overall and cell by cell", _best_of)
    verb("results", "queueing.cli.results:results", "tables of results, on the terminal or as files", results_options)
    verb("show", "queueing.cli.look:show", "show everything about a run", _run, _show)
    verb("logs", "queueing.cli.logs:logs", "print a run's output", _run, _logs)
    verb("diagnose", "notify.looking.cli:diagnose", "say what is wrong with a run or an experiment", _diagnose)
    verb("plot", "plots.cli:plot", "draw runs: curves, grids, what mattered; here or as a file", plot_options)
    verb("report", "plots.report.cli:report", "an experiment as one HTML or PDF file", report_options)
    verb("tensorboard", "queueing.cli.export:tensorboard", "write runs as TensorBoard's event files", _into_tensorboard)
    verb("mlflow", "queueing.cli.export:mlflow", "copy runs into an MLflow tracking store", _into_mlflow)
    verb("import", "queueing.cli.imports:import_runs", "add runs of elsewhere: Sacred, CSV, JSON lines", _import)
    verb("artifacts", "queueing.cli.artifacts:artifacts", "list or fetch the files a run kept", _run, _folder)
    verb("checkpoint", "queueing.cli.checkpoint:checkpoint", "fetch a run's checkpoint", _run, _best, _into)
    verb("sample", "queueing.cli.trainer:sample", "draw sentences from a language model's run", _run, _sample)
    verb("why", "queueing.cli.why:explain", "say what a run waits for", _run)
    verb(
        "workers",
        "worker.cluster.cli:workers",
        "list workers; start, stop them on clusters",
        workers_actions,
    )


def _changing(verb: _Verb) -> None:
    """Changing what runs and workers do."""
    verb("stop", "queueing.cli.change:stop", "cancel runs; a running one gets its grace first", _runs)
    verb("pause", "queueing.cli.change:pause", "keep runs from starting; a running one checkpoints first", _runs)
    verb("resume", "queueing.cli.change:resume", "let paused or ended runs go on from where they are", _runs)
    verb("requeue", "queueing.cli.change:requeue", "put runs back into the queue", _runs, _requeue)
    verb("priority", "queueing.cli.change:priority", "let runs come before others, or after them", _priority, _runs)
    verb("stopping", "queueing.cli.stopping:stopping", "rules that stop an experiment's poor runs early", _stopping)
    verb("drain", "queueing.cli.workers:drain_workers", "let a worker, or all of a host, leave", _drain)


def whole(arguments: list[str]) -> list[str]:
    """`--sort -val_loss` as `--sort=-val_loss`: argparse would take what begins with a dash for an option."""
    if arguments[:1] == ["exec"]:
        return arguments  # what follows is somebody else's command
    joined: list[str] = []
    for argument in arguments:
        if joined and joined[-1] == "--sort" and argument.startswith("-") and not argument.startswith("--"):
            joined[-1] = f"--sort={argument}"
        else:
            joined.append(argument)
    return joined


def _file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="experiment file: .toml, .yaml or .json")


def _dry_run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--dry-run", action="store_true", help="show the runs, touch no server")


def _study(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("study", metavar="STUDY", help="name of the experiment")


def _plots(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--plot", metavar="FILE.png", help="draw history and importances")
    parser.add_argument("--trials", action="store_true", help="list all trials")
    parser.add_argument("--stop", action="store_true", help="ask for no further trials; to go on: labq enqueue FILE")


def _ask(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "assigned", metavar="NAME=VALUE", nargs="*", help="your parameters; without any the optimizer proposes"
    )
    parser.add_argument("--params", metavar="JSON", help="the same as a JSON table; '-' reads it from stdin")
    parser.add_argument("--outside", action="store_true", help="no run: you evaluate it, and `labq tell`")


def _tell(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("trial", metavar="TRIAL", type=_count, help="its number")
    parser.add_argument(
        "assigned", metavar="METRIC=VALUE", nargs="*", help="value=0.31 or val_loss=0.31; state=failed or pruned"
    )


def _smac(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--metric", metavar="NAME", help="what SMAC minimizes (default: optimizer.metric of the file)")
    parser.add_argument("--max", action="store_true", help="greater is better: SMAC gets it with the sign turned")
    parser.add_argument("--value", metavar="WHICH", help="best (default), last, min, max")
    parser.add_argument(
        "--worst", type=_figure, default=1e9, metavar="QUALITY", help="quality of a run that failed (default 1e9)"
    )
    parser.add_argument("file", metavar="FILE", help="experiment file")
    parser.add_argument(
        "wire",
        metavar="INSTANCE …",
        nargs=argparse.REMAINDER,
        help="SPECIFICS CUTOFF RUNLENGTH SEED -name value …",
    )


def _run(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("run", metavar="RUN", help="id of the run, or its first characters")


def _show(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--diff", action="store_true", help="only what differed from the commit when it was enqueued")
    parser.add_argument("--packages", action="store_true", help="only the Python packages of the newest attempt")
    parser.add_argument("--resources", action="store_true", help="only what it used of its machine, over time")


def _runs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("runs", metavar="RUN", nargs="*", help="ids of runs, or their first characters")
    parser.add_argument(
        "--where", metavar="QUERY", help="instead: all that fit, such as 'val_loss > 0.3 and epoch > 50'"
    )
    parser.add_argument("--dry-run", action="store_true", help="with either: say which, change nothing")


def _which_runs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "query", metavar="QUERY", nargs="*",
        help="such as weather, 'state=finished and val_loss<0.25 and tag:paper', @NAME (see README, Asking)",
    )  # fmt: skip
    parser.add_argument("--state", action="append", metavar="STATE", default=[], help="only this state; repeatable")
    parser.add_argument("--tag", metavar="TAG", help="only runs with this tag")
    parser.add_argument(
        "--mongo", metavar="JSON", help='a filter in MongoDB\'s own words: {"summary.loss.min": {"$lt": 1}}'
    )
    parser.add_argument("-n", "--limit", type=_count, metavar="N", help="so many (default 50; 0: all)")
    parser.add_argument("--offset", type=_count, default=0, metavar="N", help="leave the first N out")
    parser.add_argument("--after", metavar="RUN", help="the page that follows this run")


def _table(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-c", "--columns", metavar="FIELDS", help="such as val_loss,params.lr,best.val_loss,duration")
    parser.add_argument("--sort", metavar="FIELD", help="by a field; -FIELD: the greatest first")
    parser.add_argument(
        "--group", metavar="FIELD", help="count by experiment, state, params.lr, …; -c best.val_loss: the best"
    )
    parser.add_argument("--save", metavar="NAME", help="save query, columns, order and group; then: labq ls @NAME")


def _views(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--all", action="store_true", help="those of other people too")
    parser.add_argument("--remove", action="append", metavar="NAME", default=[], help="forget this one; repeatable")


def _logs(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-f", "--follow", action="store_true", help="go on until the run has ended")
    parser.add_argument("--attempt", type=_count, metavar="N", help="of this attempt (default: the newest)")


def _into_tensorboard(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("folder", metavar="DIR", help="where they go: DIR/EXPERIMENT/RUN")
    _exported(parser)


def _into_mlflow(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("uri", metavar="URI", help="such as http://host:5000 or sqlite:////home/me/mlflow.db")
    _exported(parser)


def _exported(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("query", metavar="QUERY", nargs="*", help="which runs, as for `labq ls` (default: all)")


def _import(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("kind", metavar="KIND", choices=("sacred", "csv", "jsonl"), help="sacred, csv or jsonl")
    parser.add_argument("source", metavar="SOURCE", help="mongodb://HOST/DATABASE, or a file")
    parser.add_argument("--experiment", metavar="NAME", help="where they go (default: Sacred's name, or the file's)")
    parser.add_argument("--dry-run", action="store_true", help="read and check all of it, add nothing")
    parser.add_argument("--again", action="store_true", help="also those that are there already: anew")
    files = parser.add_argument_group("files", "a row is a run, or with --step a point of one")
    files.add_argument(
        "--metrics", metavar="COLUMNS", default="", help="such as val_loss,'test_*' (or called metrics.X)"
    )
    files.add_argument("--params", metavar="COLUMNS", default="", help="such as lr,n_hidden (default: all others)")
    files.add_argument("--run", metavar="COLUMN", default="", help="what a run is called there: rows of one run")
    files.add_argument("--step", metavar="COLUMN", default="", help="histories: the step of each point")
    files.add_argument("--state", metavar="COLUMN", default="", help="finished, failed, … (default: finished)")
    files.add_argument("--time", metavar="COLUMN", default="", help="when a point was reported, or a run ended")
    sacred = parser.add_argument_group("sacred")
    sacred.add_argument(
        "--prefix", metavar="PREFIX", default="", help="the collections are PREFIX_runs, PREFIX_metrics"
    )
    sacred.add_argument("--no-files", action="store_true", help="leave sources and artifacts out")


def _folder(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", metavar="FOLDER", help="fetch the files into this folder")


def _best_of(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("experiment", metavar="EXPERIMENT", help="name of the experiment")
    parser.add_argument(
        "-m", "--metric", action="append", default=[], metavar="NAME", help="this metric; repeatable (default val_loss)"
    )
    parser.add_argument("--max", action="store_true", help="the greatest value is the best, not the smallest")
    parser.add_argument(
        "--by", action="append", default=[], metavar="PARAM", help="one best for each value; repeatable"
    )
    parser.add_argument("--rows", metavar="PARAM", help="a grid: this parameter downwards")
    parser.add_argument("--columns", metavar="PARAM", help="a grid: this parameter across")


def _best(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--best", action="store_true", help="the one the script called the best, not the newest")


def _into(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", metavar="FOLDER", default=".", help="where it goes (default: here)")


def _sample(parser: argparse.ArgumentParser) -> None:
    _best(parser)
    parser.add_argument("-n", "--count", type=_positive, default=5, metavar="N", help="sentences (default 5)")
    parser.add_argument("--seed", type=_count, default=0, metavar="N", help="another seed, other sentences (default 0)")
    parser.add_argument("--temperature", type=_above_zero, default=1.0, metavar="T", help="below 1: safer words")
    parser.add_argument("--prefix", default="", metavar="WORDS", help="what each sentence begins with")


def _bench(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--quick", action="store_true", help="a small network and few sentences: under a minute")


def _requeue(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--scratch", action="store_true", help="forget the checkpoints, begin anew")


def _stopping(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("experiment", metavar="EXPERIMENT", help="name of the experiment")
    parser.add_argument("--rules", metavar="FILE", help="put the table [stopping] of this file in force")
    parser.add_argument("--dry-run", action="store_true", help="what the rules would have done to the runs so far")
    parser.add_argument("--off", action="store_true", help="no rules any more; what waits at a rung goes on")


def _priority(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("priority", metavar="N", type=_whole, help="greater comes first; experiments start with 0")


def _drain(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("whom", metavar="WORKER|HOST", help="as `labq workers` names them")
    when = parser.add_mutually_exclusive_group()
    when.add_argument("--now", dest="leaves_now", action="store_true", help="runs checkpoint and go back to the queue")
    when.add_argument("--after-current", dest="leaves_now", action="store_false", help="runs may end first (default)")
    parser.add_argument("--at", metavar="TIME", help="from then on: 18:00, '2026-11-22 06:00', 2h")
    parser.add_argument("--undo", action="store_true", help="take the order back")


def _doctor(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--fix", action="store_true", help="mend what dead processes left behind, and list it")
    parser.add_argument(
        "--deep", action="store_true", help="also read every stored checkpoint and compare its SHA-256 (slow)"
    )


def _backup(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("to", metavar="FILE|FOLDER", nargs="?", help="a folder: under a name with the time")
    parser.add_argument("--keep", type=_positive, metavar="N", help="with a folder: remove all but the newest N")
    parser.add_argument("--check", metavar="FILE", help="instead: read a backup and compare it with its SHA-256")


def _restore(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("file", metavar="FILE", help="what `labq backup` has written")
    parser.add_argument("--into", metavar="NAME", help="into this database of the same server")
    parser.add_argument("--replace", action="store_true", help="delete what is in the database")


def _top(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--once", action="store_true", help="print one picture and leave")
    parser.add_argument("--every", type=_pause, default=2.0, metavar="SECONDS", help="pause between two reads (2)")


def _watch(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "what", metavar="EXPERIMENT|RUN", help="name of an experiment, or id of a run (a prefix will do)"
    )
    parser.add_argument("--run", action="store_true", help="it is a run, whatever experiments there are")
    parser.add_argument("--metric", default="", metavar="NAME", help="whose curves (default: the validation loss)")
    parser.add_argument("--log", action="store_true", help="logarithmic scale")
    parser.add_argument("--time", action="store_true", help="curves by time instead of by step")
    parser.add_argument(
        "--sort", default="best", choices=("best", "last", "state", "progress", "speed", "findings", "newest"),
        help="order of the table (best)",
    )  # fmt: skip
    parser.add_argument("--once", action="store_true", help="print one picture and leave")
    parser.add_argument("--every", type=_pause, default=1.0, metavar="SECONDS", help="pause between two reads (1)")


def _worker(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-n", "--count", type=_positive, default=1, metavar="N", help="how many at once (default 1)")
    parser.add_argument("--queue", type=_name, metavar="QUEUE", help="queue to serve (default: the setting `queue`)")
    parser.add_argument(
        "--tag", action="append", type=_name, default=[], metavar="TAG", help="what this machine is; repeatable"
    )
    parser.add_argument(
        "--gpus",
        type=_gpus,
        default="auto",
        metavar="GPUS",
        help="how many (2), which (0,1 as in nvidia-smi; one alone: 1,), all, or auto (default: all there are)",
    )
    parser.add_argument(
        "--slots-per-gpu", type=_positive, default=1, metavar="N", help="runs that may share a GPU, memory permitting"
    )
    parser.add_argument("--cpus", type=_positive, metavar="N", help="offer no more processors (default: all there are)")
    parser.add_argument("--memory", metavar="SIZE", help="offer no more memory, such as 12GB (default: all there is)")
    parser.add_argument("--burst", action="store_true", help="leave when there is nothing to do")
    parser.add_argument("--run-only", metavar="RUN", help="carry out this run alone, and leave when it needs no more")
    parser.add_argument("--idle-exit", metavar="TIME", help="leave after this time without work, such as 10m")
    parser.add_argument(
        "--until", metavar="TIME", help="leave by then: +4h, 18:00, 2026-11-22T04:00; in Slurm and SGE jobs it is known"
    )


def _outbox(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action", metavar="ACTION", nargs="?", choices=("list", "retry", "drop"), default="list",
        help="list (default); retry: now, to those who have not got it; drop: never send it",
    )  # fmt: skip
    parser.add_argument("ids", metavar="ID", nargs="*", help="messages, by the beginning of their ids")
    parser.add_argument(
        "--state", metavar="STATE", help="owed,deferred,refused,sent,… or all (default: what is not sent)"
    )
    parser.add_argument("--refused", action="store_true", help="retry or drop every message that was refused")
    parser.add_argument("--limit", type=_count, default=50, metavar="N", help="list so many at most (default 50)")


def _notify(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--once", action="store_true", help="send what is owed now, then leave")
    parser.add_argument("--test", metavar="TO", help="send one message of each kind to this address or chat target")


def _rules(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "action", metavar="ACTION", nargs="?", default="list", choices=("list", "set", "check", "remove"),
        help="list (default), set FILE, check FILE, remove",
    )  # fmt: skip
    parser.add_argument("file", metavar="FILE", nargs="?", help="rules file: .toml, .yaml or .json")
    parser.add_argument("--everybody", action="store_true", help="rules for everybody's runs, not for yours alone")


def _mute(parser: argparse.ArgumentParser) -> None:
    _muted(parser)
    parser.add_argument("--for", dest="for_", metavar="TIME", help="so long, such as 2d; else until `labq unmute`")


def _muted(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("about", metavar="EXPERIMENT|RUN", help="name of the experiment, or id of the run")


def _diagnose(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("what", metavar="RUN|EXPERIMENT", help="id of a run, or its first characters; or an experiment")
    parser.add_argument("--watch", action="store_true", help="look again every 5 s until all runs have ended")
    parser.epilog = "Exit code: 0 when nothing severe is wrong, 1 when something is."


def _demo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--keep", metavar="FOLDER", help="keep curves and mails in this folder")


def _count(text: str) -> int:
    if not re.fullmatch("[0-9]{1,6}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 0 to 999999")
    return int(text)


def _whole(text: str) -> int:
    if not re.fullmatch("[+-]?[0-9]{1,6}", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from -999999 to 999999")
    return int(text)


def _positive(text: str) -> int:
    if not re.fullmatch("[0-9]{1,3}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to 999")
    return int(text)


def _gpus(text: str) -> str:
    one = "(?:[0-9]{1,3}|(?:GPU|MIG)-[A-Za-z0-9/-]{1,80})"
    if not re.fullmatch(f"auto|all|{one}(?:,{one})*,?", text):
        raise argparse.ArgumentTypeError(f"{text!r}: allowed: a number, a list such as 0,1 (one alone: 1,), all, auto")
    return text


def _figure(text: str) -> float:
    try:
        value = float(text)
    except ValueError:
        value = float("nan")
    if value - value != 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number")
    return value


def _above_zero(text: str) -> float:
    if not re.fullmatch(r"[0-9]{0,4}\.?[0-9]{1,6}", text) or float(text) <= 0:
        raise argparse.ArgumentTypeError(f"{text!r} is no number above 0")
    return float(text)


def _pause(text: str) -> float:
    if not re.fullmatch(r"[0-9]{0,4}\.?[0-9]{1,3}", text) or not 0.2 <= float(text) <= 3600:
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds from 0.2 to 3600")
    return float(text)


def _name(text: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}", text):
        raise argparse.ArgumentTypeError(f"{text!r}: allowed: letters, digits, '.', '_' and '-'")
    return text


class _Version(argparse.Action):
    """Looked up only when asked for: the metadata of packages takes a while to read."""

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> None:
        from importlib.metadata import version

        parser.exit(0, f"labq {version('labq')}\n")
