"""The built-in trainer: Elman recurrent networks as Numba kernels, started as `python -P -m trainer`."""
