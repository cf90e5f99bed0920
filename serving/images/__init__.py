"""What an image is: any picture file becomes a PNG or JPEG that the served graph decodes to the pixels that people see.

The rules are the table in docs/images.md. `header` reads what a file claims, `colours` makes 8-bit grey or RGB out of
anything, and `preparing` decides what is kept and what is converted. NumPy and Pillow are imported when a picture is.
"""

from serving.images.header import MOST_PIXELS, Header, ImageError, ImageTooLargeError, read_header
from serving.images.preparing import RULES, Prepared, examine, prepare

__all__ = [
    "MOST_PIXELS",
    "RULES",
    "Header",
    "ImageError",
    "ImageTooLargeError",
    "Prepared",
    "examine",
    "prepare",
    "read_header",
]
