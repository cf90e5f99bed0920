"""How a GZIP file begins: RFC 1952, section 2.3.1."""

_START = b"\x1f\x8b"


def is_gzip(start: bytes) -> bool:
    """Whether a file that begins with these bytes, two or more, may be one of GZIP."""
    return start.startswith(_START)
