"""Images in, labels and probabilities out, by the embedded server: pictures, arrays, names of classes, old versions."""

import io
from collections.abc import Iterator

import pytest
from PIL import Image as Picture

from serving.fleet.fleet import parse_fleet
from tests.fleet import LABELS, RunningReplica, write_classifier
from tests.releases import MODEL
from tests.serving.client.conftest import AnyClient, MakeClient

OLD, NEW = 1, 2


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningReplica]:
    """v1 was exported before there were names of classes; v2 answers as the newest."""
    base = tmp_path_factory.mktemp("classifiers")
    write_classifier(base / MODEL / str(OLD), old=True)
    write_classifier(base / MODEL / str(NEW), moved=1)
    (base / "models.config").write_text(
        f'model_config_list {{ config {{ name: "{MODEL}" base_path: "{base / MODEL}" model_platform: "tensorflow" '
        f"model_version_policy {{ specific {{ versions: {OLD} versions: {NEW} }} }} }} }}"
    )
    running = RunningReplica(base / "models.config")
    running.start()
    yield running
    running.stop()


@pytest.fixture
def client(replica: RunningReplica, make_client: MakeClient) -> Iterator[AnyClient]:
    with make_client(parse_fleet(replica.address), label=None) as made:
        yield made


def picture(shade: int, kind: str = "PNG", mode: str = "L") -> bytes:
    stream = io.BytesIO()
    Picture.new("L", (5, 4), shade).convert(mode).save(stream, kind)
    return stream.getvalue()


def test_several_pictures_are_answered_in_their_order(client: AnyClient, replica: RunningReplica) -> None:
    found = client.classify(MODEL, [picture(0), picture(250, "JPEG", "RGB"), b"1 as text"])

    assert ("0", "3", "1") == found.labels
    assert (NEW, replica.address, 3) == (found.version, found.address, len(found))
    assert (3, len(LABELS)) == found.probabilities.shape


def test_the_most_probable_classes_have_their_names(client: AnyClient) -> None:
    """...in the order of this version, which has each label one index later."""
    found = client.classify(MODEL, b"2")

    assert ("3", "0", "1", "2") == found.class_names
    assert [[("2", pytest.approx(0.7)), ("3", pytest.approx(0.1))]] == found.top(2)
    assert [["2", "3", "0", "1"]] == [[label for label, _ in each] for each in found.top(100)]
