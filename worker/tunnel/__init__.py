"""Servers that other machines reach through ssh."""
