"""Kernels compiled by these tests are kept in the folder of the runs that they start, so both compile once."""

from __future__ import annotations

from trainer.jit import keep_compiled_kernels_for

keep_compiled_kernels_for("float32")
