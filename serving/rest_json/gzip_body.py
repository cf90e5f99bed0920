"""Bodies that a client has compressed with gzip."""

import zlib


def inflated(body: bytes, *, largest: int) -> bytes:
    """The body as it was before gzip; empty when it cannot be restored, or would be longer than `largest` bytes."""
    inflater = zlib.decompressobj(wbits=31)
    try:
        whole = inflater.decompress(body, largest + 1)
    except zlib.error:
        return b""
    complete = inflater.eof and not inflater.unused_data and len(whole) <= largest
    return whole if complete else b""
