"""Whether a worker could work on a machine: `labq workers doctor`."""
