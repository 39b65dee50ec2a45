"""The options of `labq plot` and `labq report`. The words for kinds and the like are those of `plots.asking`."""

import argparse
import re

from queueing.cli.results_options import whole_number

KINDS = {
    "curves": "metrics as they go (the default)",
    "grid": "curves, a panel for each pair of values of two parameters",
    "updates": "error by number of weight updates",
    "epochtime": "seconds per epoch",
    "norms": "weight norms per layer, with gradients and updates where they are watched",
    "importance": "which parameters matter",
    "parallel": "parallel coordinates",
    "scatter": "the figure against each parameter",
    "pairs": "parameters against each other",
    "heatmap": "a number for each pair of values of two parameters",
    "features": "error per input feature of the trainer's classifier",
    "confusion": "its confusion matrices",
}
_KINDS = "kinds of pictures:\n" + "\n".join(f"  {name:<11} {said}" for name, said in KINDS.items())


def plot_options(parser: argparse.ArgumentParser) -> None:
    """All of them."""
    parser.formatter_class = argparse.RawDescriptionHelpFormatter
    parser.epilog = _KINDS
    parser.add_argument(
        "which",
        metavar="EXPERIMENT|RUN|QUERY",
        nargs="+",
        help="an experiment, a run, which runs: 'tag:paper and lr<0.1'",
    )
    parser.add_argument(
        "--kind", choices=list(KINDS), default="curves", metavar="KIND", help="what kind of picture, below"
    )
    _axes(parser)
    _runs(parser)
    _file(parser)


def _axes(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--x", metavar="NAME", help="step (default), epoch, time, updates, or a metric; of scatter: a parameter")
    add("-y", "--y", nargs="+", action="extend", default=[], metavar="METRIC", help="what is drawn; several")
    add("-m", "--metric", action="append", default=[], metavar="METRIC", help="the same, one at a time")
    add("--by", metavar="PARAM", help="a colour for each of its values; runs with the same become a mean and a band")
    add("--facet", nargs="+", default=[], metavar="PARAM", help="a panel for each of its values; two: rows and columns")
    add("--band", choices=["minmax", "std", "quantiles", "none"], default="minmax", help="of --by (default minmax)")
    add(
        "--smooth",
        type=_weight,
        default=0.0,
        metavar="W",
        help="weight of the moving average, 0 to below 1, such as 0.9",
    )
    add(
        "--log",
        choices=["x", "y", "xy", "none"],
        default="",
        help="logarithmic axes (default: y where values lie far apart)",
    )
    add("--ylim", nargs=2, type=float, metavar=("LEAST", "MOST"), help="ends of the y axis")


def _runs(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument
    add("--top", type=whole_number, metavar="N", help="only the best N runs")
    add(
        "--limit",
        type=whole_number,
        default=200,
        metavar="N",
        help="at most so many curves, evenly chosen (default 200)",
    )
    add("--max", action="append", default=[], metavar="METRIC", help="greater is better; repeatable")
    add("--min", action="append", default=[], metavar="METRIC", help="smaller is better; repeatable")
    add("--last", action="store_true", help="a run's last value stands for it, not its best")
    add(
        "--aggregate",
        choices=["best", "worst", "mean", "median", "std", "count"],
        default="best",
        help="of a heat map's cells",
    )
    add("--epoch", type=whole_number, metavar="N", help="of confusion matrices (default: the last)")
    add("--seed", type=int, default=0, metavar="N", help="of the random forest behind importance")


def _file(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("-o", "--output", metavar="FILE", help=".png, .svg or .pdf (default: here, in the terminal)")
    parser.add_argument(
        "--width", type=_pixels, metavar="N", help="of the file in pixels (760), or of the text in columns"
    )


def report_options(parser: argparse.ArgumentParser) -> None:
    """All of them."""
    add = parser.add_argument
    add("experiment", metavar="EXPERIMENT", help="its name")
    add("-o", "--output", required=True, metavar="FILE", help=".html or .pdf")
    add(
        "-m",
        "--metric",
        metavar="NAME",
        help="by which runs are compared (default: the validation loss, or what is like it)",
    )
    add("--by", action="append", default=[], metavar="PARAM", help="groups of the table of best results; repeatable")
    add("--max", action="append", default=[], metavar="METRIC", help="greater is better; repeatable")
    add("--min", action="append", default=[], metavar="METRIC", help="smaller is better; repeatable")


def _weight(text: str) -> float:
    if not re.fullmatch(r"0?\.[0-9]{1,9}|0", text):
        raise argparse.ArgumentTypeError(f"{text!r} is no number from 0 to below 1, such as 0.9")
    return float(text)


def _pixels(text: str) -> int:
    if not re.fullmatch("[0-9]{2,4}", text) or not 40 <= int(text) <= 4000:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 40 to 4000")
    return int(text)
