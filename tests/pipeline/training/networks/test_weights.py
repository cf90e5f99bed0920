"""Where pretrained weights come from, before any network reads them."""

import hashlib
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import BadInputError
from pipeline.spec import Application, OwnNetwork, SmallNetwork
from pipeline.training.networks.weights import local_weights
from tests.object_storage import GcsBucket, bucket, store
from tests.pipeline.storage.s3_store import S3TestBucket, s3_bucket, s3_store
