"""Files of weights that a model file names: brought here and compared, before any network reads them."""

import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipeline.errors import BadInputError
from pipeline.spec import Application, OwnNetwork, SmallNetwork
from pipeline.training.networks.weights import local_weights
from tests.object_storage import store
from tests.pipeline.storage.s3_store import s3_store

__all__ = ["s3_store", "store"]

CONTENT = b"some weights" * 1000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


def network(weights: str | None, sha256: str | None = SHA256) -> Application:
    return Application(name="resnet50", weights=weights, sha256=sha256 if weights else None)


def brought(network: Any, cache: Path) -> bytes | None:
    with local_weights(network, seconds=3, cache=cache) as path:
        return path.read_bytes() if path else None


@pytest.fixture(params=["disk", "gcs", "s3"])
def place(request: pytest.FixtureRequest, tmp_path: Path) -> tuple[str, Callable[[str, bytes], Any]]:
    """The address of a folder, and what writes a file to it; no other store is started than the one that is used."""
    if request.param == "disk":
        return str(tmp_path), lambda name, content: (tmp_path / name).write_bytes(content)
    bucket = request.getfixturevalue({"gcs": "store", "s3": "s3_store"}[request.param]).bucket()
    return bucket.uri(), bucket.write


def test_a_file_with_its_digest_is_brought_here(place: Any, tmp_path: Path) -> None:
    address, write = place
    write("some.h5", CONTENT)

    assert CONTENT == brought(network(f"{address}/some.h5"), tmp_path)


def test_a_file_without_a_digest_is_refused_with_the_one_that_it_has(place: Any, tmp_path: Path) -> None:
    address, write = place
    write("some.h5", CONTENT)

    with pytest.raises(BadInputError, match=r"training\.network\.sha256 is missing\. .*/some\.h5 is the ") as raised:
        brought(network(f"{address}/some.h5", None), tmp_path)
    assert str(raised.value).endswith(f"`sha256: {SHA256}`")


def test_a_file_that_has_changed_is_refused(place: Any, tmp_path: Path) -> None:
    address, write = place
    write("some.h5", CONTENT + b"!")
    other = hashlib.sha256(CONTENT + b"!").hexdigest()

    with pytest.raises(BadInputError, match=rf"/some\.h5 is {other}, and training\.network\.sha256 is {SHA256}\. "):
        brought(network(f"{address}/some.h5"), tmp_path)


def test_a_file_that_does_not_exist_is_named(place: Any, tmp_path: Path) -> None:
    address, _ = place

    with pytest.raises(BadInputError, match=r"^training\.network\.weights: .*/none\.h5 .*; correct the "):
        brought(network(f"{address}/none.h5"), tmp_path)


@pytest.mark.parametrize("address", ["gs://bucket", "s3://bucket/", "http://host/some.h5"])
def test_an_address_of_no_file_is_refused(address: str, tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"^training\.network\.weights: "):
        brought(network(address), tmp_path)


def test_a_copy_is_deleted_afterwards(s3_store: Any, tmp_path: Path) -> None:
    bucket = s3_store.bucket()
    bucket.write("some.h5", CONTENT)
    with local_weights(network(bucket.uri("some.h5")), seconds=3, cache=tmp_path) as path:
        assert path is not None

    assert not path.exists()


@pytest.mark.parametrize("without", [SmallNetwork(), OwnNetwork(function="a:b"), network(None)])
def test_a_network_without_pretrained_weights_needs_no_file(without: Any, tmp_path: Path) -> None:
    assert brought(without, tmp_path) is None


def test_a_folder_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"cannot be read: Is a directory; correct the path"):
        brought(network(str(tmp_path)), tmp_path)
