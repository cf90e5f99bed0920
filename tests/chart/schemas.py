"""The schemas of Kubernetes."""

from functools import lru_cache
from unittest.mock import patch

import kubernetes_validate  # type: ignore[import-untyped]
from kubernetes_validate import utils

from tests.chart.helm import Manifest

# It reads a file of some megabytes for each object.
_contents = lru_cache(utils.schema_contents)


def require_fit(manifest: Manifest, kube: str) -> None:
    """Raise what is wrong with a manifest for this version of Kubernetes, also a field that it does not have."""
    with patch.object(utils, "schema_contents", _contents):
        kubernetes_validate.validate(manifest, kube, strict=True)
