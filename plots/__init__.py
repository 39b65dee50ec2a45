"""Pictures and reports of runs: `labq plot`, `labq report`. Above `queueing` (which runs) and `notify` (how they look).

A kind of picture reads the store and makes a `picture.Picture`, plain data; `drawing` puts it on paper, `terminal` into
a terminal.
"""
