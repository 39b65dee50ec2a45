"""Addresses as they go over the wire."""


def on_the_wire(address: str) -> str:
    """A domain in another alphabet as every server reads it (IDNA). Raises ValueError when that cannot be."""
    user, _, domain = address.rpartition("@")
    if domain.isascii():
        return address
    try:
        return f"{user}@{domain.encode('idna').decode()}"
    except UnicodeError as error:
        raise ValueError(f"{address!r}: {domain!r} is no domain") from error


def needs_utf8(address: str) -> bool:
    """Only servers with SMTPUTF8 take it."""
    return not address.rpartition("@")[0].isascii()
