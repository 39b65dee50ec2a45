"""Stopping poor runs early, from outside, on stored metrics: rules, what they see, and the round that decides."""
