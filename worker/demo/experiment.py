"""What the demo trains: a language model on the text of Python's documentation, which ships inside CPython."""

EPOCHS = 4

_SHARED = f"""\
model = "language-model"
vocabulary_size = 1000
bptt = 4
epochs = {EPOCHS}
learning_rate_decay = 0.9
checkpoint_every_s = 0.3
"""

EXPERIMENT = f"""\
name = "docs-lm"
trainer = "rnn"
tags = ["demo"]

[params]
{_SHARED}
[data]
source = "pydoc"                     # pydoc_data.topics: 65,000 words

[sweep.params]
n_hidden = [16, 32]
learning_rate = [0.005, 0.01]

[notify]
to = ["you@lab.example"]
"""


def twin(n_hidden: int, learning_rate: float) -> str:
    """One of the runs above once more, under another name: what it would have been undisturbed."""
    return f"""\
name = "twin"
trainer = "rnn"
priority = -1

[params]
n_hidden = {n_hidden}
learning_rate = {learning_rate}
{_SHARED}
[data]
source = "pydoc"
"""
