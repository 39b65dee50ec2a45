"""Spreadsheets and CSV files as sweeps: a header row names parameters, each further row is a run."""
