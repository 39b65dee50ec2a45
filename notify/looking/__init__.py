"""How runs are looked at: which of them and when, what is read of them, and where findings go."""
