"""Running one thing on one machine: claim, launch, watch, settle."""
