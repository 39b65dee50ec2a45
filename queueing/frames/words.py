"""A run in a line."""

from queueing.cli.words import metric_words, param_words, state_words
from store.runs import Run, short


def run_words(run: Run) -> str:
    """`<labq run 3k9abcde weather finished lr=0.1 val_loss=0.24>`"""
    said = [short(run.id), run.experiment, state_words(run), param_words(run, list(run.params)), metric_words(run)]
    return f"<labq run {' '.join(filter(None, said))}>"
