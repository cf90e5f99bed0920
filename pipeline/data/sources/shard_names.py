"""The names that TFRecord shards have."""

import re

# `train-00000-of-00010`, `train.tfrecord`, `train.tfrecord-00000-of-00010`, `train.tfrecords.gz`, `train.tfrec`.
# `photo-1-of-9.jpg` is an image.
_SHARD = re.compile(r"(-\d+-of-\d+|\.tfrec(ords?)?)(\.gz)?$", re.IGNORECASE)


def is_shard(name: str) -> bool:
    """Whether a file is named like a TFRecord shard."""
    return _SHARD.search(name) is not None
