"""The mathematics. A kernel sees only numbers and arrays; its slow NumPy twin lives in tests/numeric."""
