"""What the demo trains: a language model on the text of Python's documentation, which ships inside CPython."""

EXPERIMENT = """\
name = "docs-lm"
trainer = "rnn"
tags = ["demo"]

[params]
model = "language-model"
vocabulary_size = 1000
bptt = 4
epochs = {epochs}
learning_rate_decay = 0.9
checkpoint_every_s = 0.3

[data]
source = "pydoc"                     # pydoc_data.topics: 65,000 words

[sweep.params]
n_hidden = [16, 32]
learning_rate = [0.005, 0.01]

[notify]
to = ["you@lab.example"]
"""

TWIN = """\
name = "twin"
trainer = "rnn"
priority = -1

[params]
model = "language-model"
vocabulary_size = 1000
bptt = 4
epochs = {epochs}
learning_rate_decay = 0.9
checkpoint_every_s = 0.3
n_hidden = {n_hidden}
learning_rate = {learning_rate}

[data]
source = "pydoc"
"""

EPOCHS = 4
