"""The name of a label within the name of an MLflow metric.

MLflow allows letters, digits, `_`, `-`, `.`, blanks and `/` there. A label is the name of a folder and may hold other
characters. Its name in a metric depends on the label alone, so that the same metric can be compared between runs.
"""

import hashlib
import re
import unicodedata

# Some databases of MLflow allow 250 characters, prefix included.
_LONGEST = 100
# Letters and digits of all scripts are fine. A label that begins or ends with a blank looks like one without.
_PLAIN = re.compile(r"[\w.-]([\w. -]*[\w.-])?")
_OTHER = re.compile(r"[^\w. -]+")
# The suffix that `metric_name` adds. A label that ends like this gets one too, so no two labels share a name.
_SUFFIX = re.compile(r".*-[0-9a-f]{10}", re.DOTALL)


def metric_name(label: str) -> str:
    """The label itself if MLflow allows it; otherwise its allowed characters, and a digest of the whole label.

    Different labels have different names, also after the replacement of characters.
    """
    if _PLAIN.fullmatch(label) and len(label) <= _LONGEST and not _SUFFIX.fullmatch(label):
        return label
    readable = _OTHER.sub("_", unicodedata.normalize("NFC", label)).strip()[:_LONGEST]
    return f"{readable}-{hashlib.sha256(label.encode()).hexdigest()[:10]}"
