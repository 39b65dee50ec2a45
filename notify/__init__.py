"""Telling people: the outbox, the message, the sender."""
