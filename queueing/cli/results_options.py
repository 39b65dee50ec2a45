"""The options of `labq results`."""

import argparse
import re


def results_options(parser: argparse.ArgumentParser) -> None:
    """All of them."""
    parser.add_argument(
        "which", metavar="EXPERIMENT|QUERY", help="an experiment, or which runs: 'tag:paper and lr<0.1'"
    )
    _rows(parser)
    _groups(parser)
    _file(parser)


def _rows(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-m", "--metric", action="append", default=[], metavar="NAME", help="only this one; repeatable")
    parser.add_argument("-c", "--columns", metavar="A,B,…", help="only these: fields, parameters, best.NAME, last.NAME")
    parser.add_argument("--sort", metavar="NAME", help="a metric: the best first; any other column: rising")
    parser.add_argument("--reverse", action="store_true", help="the other way round; what is missing still comes last")
    parser.add_argument("--best", type=whole_number, metavar="N", help="only the first N")
    parser.add_argument("--max", action="append", default=[], metavar="METRIC", help="greater is better; repeatable")
    parser.add_argument("--min", action="append", default=[], metavar="METRIC", help="smaller is better; repeatable")
    parser.add_argument("--at-best", metavar="METRIC", help="the other metrics at the step where this one was best")


def _groups(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--over",
        action="append",
        default=[],
        metavar="NAME",
        help="one row for all its values: repeat, a parameter",
    )
    parser.add_argument("--level", type=_level, default=0.95, metavar="P", help="of the interval (default 0.95)")
    parser.add_argument("--median", action="store_true", help="with --over: median and quartiles instead")
    parser.add_argument("--pivot", nargs=2, metavar=("ROWS", "COLUMNS"), help="one number per pair of values")
    parser.add_argument(
        "--bests", action="store_true", help="the best of each metric (-m) in each group (--by), and how it was reached"
    )
    parser.add_argument(
        "--by",
        action="append",
        default=[],
        metavar="NAME",
        help="with --pivot: a table per value; with --bests: a group",
    )
    parser.add_argument(
        "--aggregate",
        choices=["best", "worst", "mean", "median", "std", "count"],
        help="with --pivot: what stands for all runs of a cell (default best)",
    )
    parser.add_argument(
        "--unfinished", action="store_true", help="with --over, --pivot, --bests: runs that have not finished count too"
    )


def _file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", metavar="FILE", help=".csv .tsv .xlsx .parquet .tex .md .json; -: stdout")
    parser.add_argument("--format", metavar="FORMAT", help="where the name of the file does not tell")
    parser.add_argument("--digits", type=_digits, default=4, metavar="N", help="how many, in texts (default 4)")
    parser.add_argument("--force", action="store_true", help="write into the very table that was enqueued")


def _digits(text: str) -> int:
    if not re.fullmatch("[0-9]{1,2}", text) or not 1 <= int(text) <= 17:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 to 17")
    return int(text)


def _level(text: str) -> float:
    found = re.fullmatch(r"([0-9]{0,3}\.?[0-9]{1,6})(%?)", text)
    level = float(found[1]) / (100 if found[2] else 1) if found else 0.0
    if not 0 < level < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no probability between 0 and 1, such as 0.95 or 95%")
    return level


def whole_number(text: str) -> int:
    if not re.fullmatch("[0-9]{1,9}", text) or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)
