"""A study that never was, always the same: for test messages, benchmarks and tests. No store, no clock."""
