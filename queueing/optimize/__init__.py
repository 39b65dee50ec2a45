"""Optimizers over the durable queue: studies whose trials are runs. MongoDB is all they remember."""
