"""A limit on how many values a JSON body may have: in memory each of them takes up to a hundred times its bytes."""

from serving.gateway.errors import GatewayError

# Of a body whose images are strings: far more than the images of a request and their names have.
LARGEST_OF_IMAGES = 100_000
# Of a body whose tensors are numbers: six pictures of 224 x 224 in RGB. More of them are better sent as raw bytes.
LARGEST_OF_TENSORS = 1_000_000


def check_values(body: bytes, *, limit: int, end: int | None = None) -> None:
    """Refuse a JSON body with more values, before it is parsed.

    Commas and brackets are counted, those in strings too: there is no value without one of them.

    Args:
        body: JSON.
        limit: the most values.
        end: where the JSON ends; None for the end of the body.

    Raises:
        GatewayError: 413, it has more.
    """
    if sum(body.count(mark, 0, end) for mark in (b",", b"[", b"{")) > limit:
        text = f"the JSON has more than {limit:,} values; send fewer at once"
        raise GatewayError(413, text)
