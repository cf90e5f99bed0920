"""Built-in data sets, from a library, from a local file and from the network."""

import dataclasses
import gzip
import hashlib
import io
import logging
import pickle
import socket
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from pipeline.data.source import Entry, Record, Source, record_name
from pipeline.data.sources.builtin import DATA_SETS, open_builtin, open_data_set
from pipeline.data.sources.builtin.data_set import DataSet
from pipeline.data.sources.builtin.download import DownloadLimits
from pipeline.data.sources.builtin.fashion_mnist import NAMES as CLOTHES
from pipeline.data.sources.builtin.png import encode
from pipeline.errors import BadInputError, StorageError
from pipeline.spec import Data
from pipeline.storage.tree import UnreadableError
from tests.hunts import hunt
from tests.pipeline.data.sources.file_server import Answer, FileServer, file_server
from tests.pipeline.data.sources.published import batch, cifar_archive, cifar_batches, idx, npz, pixels
from tests.pipeline.data.sources.reports import Reports

QUICK = DownloadLimits(silence=0.3, whole=5, attempts=2, pause=0)
ARCHIVE = "cifar-10-python.tar.gz"
FASHION = ("train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of downloads."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache" / "understudy"


@pytest.fixture
def server() -> Iterator[FileServer]:
    with file_server() as running:
        yield running


def published_at(server: FileServer, name: str, contents: Sequence[bytes]) -> DataSet:
    """The data set, with the files of the server in the place of the published ones."""
    data_set = DATA_SETS[name]
    files = dict.fromkeys(file for part in data_set.files.values() for file in part)
    served = {}
    for file, content in zip(files, contents, strict=True):
        path = f"/{file.name}"
        server.answers[path] = [Answer(content)]
        sha256 = hashlib.sha256(content).hexdigest()
        served[file] = file._replace(url=server.address + path, size=len(content), sha256=sha256)
    return dataclasses.replace(
        data_set, files={part: tuple(served[file] for file in files) for part, files in data_set.files.items()}
    )


def opened(data_set: DataSet, limits: DownloadLimits = QUICK, **settings: Any) -> Source:
    return open_data_set(data_set, Data(images=f"builtin:{data_set.name}", **settings), limits=limits)


def named(name: str, file: Path, **settings: Any) -> Source:
    return open_builtin(Data(images=f"builtin:{name}", file=str(file), **settings))


def parts(source: Source) -> dict[str, list[Record]]:
    reports = Reports()
    found = {entry.name: list(source.records(entry, reports)) for entry in source.entries(reports)}
    assert [] == reports.sentences
    return found


def images(records: list[Record]) -> list["np.ndarray"]:
    return [np.asarray(Image.open(io.BytesIO(record.content), formats=["PNG"])) for record in records]


def unreadable(source: Source) -> str:
    with pytest.raises(UnreadableError) as error:
        parts(source)
    return str(error.value)


def refusal(**settings: Any) -> str:
    with pytest.raises(BadInputError) as error:
        list(open_builtin(Data(**settings)).entries(Reports()))
    return str(error.value)


MNIST = {
    "x_train": pixels(3, 28, 28),
    "y_train": np.array([5, 0, 4], "uint8"),
    "x_test": pixels(2, 28, 28, seed=1),
    "y_test": np.array([7, 2], "uint8"),
}


def test_digits_are_the_same_bytes_as_ever() -> None:
    source = open_builtin(Data(images="builtin:digits"))
    (records,) = parts(source).values()
    digest = hashlib.sha256(b"".join(record.content for record in records))

    assert digest.hexdigest() == "49a45047bcb33c327f073489f1e7f5b3f7dc2d656837ef5295e44bf7033e4d27", (
        "other bytes are other images, and are in other splits"
    )
    assert (1797, ["0", "1", "2"]) == (len(records), [record.label for record in records[:3]])


def test_digits_are_one_shard_without_a_split() -> None:
    source = open_builtin(Data(images="builtin:digits"))
    (entry,) = source.entries(Reports())

    assert Entry("images", 1797 * 64, "1") == entry
    assert source.is_sharded
    assert ("builtin:digits", "builtin:digits") == (source.address, source.shown(entry.name))
    assert "image 3 of builtin:digits" == source.shown(record_name(entry.name, 3))


def test_mnist_is_read_from_a_file_that_was_downloaded_before(tmp_path: Path) -> None:
    (tmp_path / "mnist.npz").write_bytes(npz(**MNIST))
    for file in (tmp_path / "mnist.npz", tmp_path):
        found = parts(named("mnist", file))

        assert ["5", "0", "4"] == [record.label for record in found["train"]]
        assert ["7", "2"] == [record.label for record in found["test"]]
        assert np.array_equal(MNIST["x_train"], images(found["train"]))
        assert np.array_equal(MNIST["x_test"], images(found["test"]))


def test_fashion_mnist_is_read_from_a_folder_of_its_four_files(tmp_path: Path) -> None:
    arrays = (pixels(3, 28, 28), np.array([0, 9, 5], "uint8"), pixels(2, 28, 28, seed=1), np.array([1, 8], "uint8"))
    for name, array in zip(FASHION, arrays, strict=True):
        (tmp_path / f"{name}.gz").write_bytes(idx(array))
    found = parts(named("fashion_mnist", tmp_path))

    assert ["T-shirt/top", "Ankle boot", "Sandal"] == [record.label for record in found["train"]]
    assert ["Trouser", "Bag"] == [record.label for record in found["test"]]
    assert np.array_equal(arrays[0], images(found["train"]))
    assert np.array_equal(arrays[2], images(found["test"]))


def cifar_contents() -> dict[str, bytes]:
    return {name: batch(*content) for name, content in cifar_batches().items()}


@pytest.mark.parametrize("place", ["archive", "folder of the archive", "extracted", "above extracted"])
def test_cifar10_is_read_from_its_archive_or_what_that_is_extracted_to(tmp_path: Path, place: str) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    if place in ("archive", "folder of the archive"):
        (tmp_path / ARCHIVE).write_bytes(cifar_archive(cifar_contents()))
    else:
        folder.mkdir()
        for name, content in cifar_contents().items():
            (folder / name).write_bytes(content)
    file = {"archive": tmp_path / ARCHIVE, "extracted": folder}.get(place, tmp_path)
    found = parts(named("cifar10", file))

    expected = [image.reshape(3, 32, 32).transpose(1, 2, 0) for each, _ in cifar_batches().values() for image in each]
    assert ["airplane", "automobile", "bird", "automobile", "bird", "cat"] == [r.label for r in found["train"][:6]]
    assert ["dog", "frog", "horse"] == [record.label for record in found["test"]]
    assert np.array_equal(expected, images(found["train"] + found["test"]))


class Gadget:
    """Runs a command when it is unpickled."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def __reduce__(self) -> tuple[Any, ...]:
        return Path.touch, (self._path,)


def test_a_pickle_that_asks_for_anything_else_is_refused_and_not_run(tmp_path: Path) -> None:
    for name in cifar_contents():
        (tmp_path / name).write_bytes(pickle.dumps(Gadget(tmp_path / "it ran")))

    assert "which no batch of CIFAR-10 needs, so it was not run" in unreadable(named("cifar10", tmp_path))
    assert not (tmp_path / "it ran").exists()


def test_an_archive_whose_batch_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / ARCHIVE).write_bytes(
        cifar_archive(dict.fromkeys(cifar_contents(), b""), type=b"2", linkname="/etc/passwd")
    )

    assert "that is not a batch of CIFAR-10" in unreadable(named("cifar10", tmp_path))


def other_labels() -> bytes:
    return batch(pixels(2, 3072), [3, 10])


DAMAGED: dict[str, tuple[str, dict[str, bytes]]] = {
    "no archive": ("mnist", {"mnist.npz": b"nothing"}),
    "one array": ("mnist", {"mnist.npz": b"\x93NUMPY\x01\x00"}),
    "truncated": ("mnist", {"mnist.npz": npz(**MNIST)[:-200]}),
    "another array": ("mnist", {"mnist.npz": npz(x_train=MNIST["x_train"])}),
    "another type": ("mnist", {"mnist.npz": npz(**MNIST | {"x_test": MNIST["x_test"].astype("float32")})}),
    "another shape": ("mnist", {"mnist.npz": npz(**MNIST | {"x_test": pixels(2, 27, 28)})}),
    "fewer labels": ("mnist", {"mnist.npz": npz(**MNIST | {"y_test": np.array([1], "uint8")})}),
    "an 11th class": ("mnist", {"mnist.npz": npz(**MNIST | {"y_test": np.array([1, 10], "uint8")})}),
    "no images": ("mnist", {"mnist.npz": npz(**MNIST | {"x_test": pixels(0, 28, 28), "y_test": np.empty(0, "uint8")})}),
    "objects": ("mnist", {"mnist.npz": npz(**MNIST | {"y_test": np.array([{}, {}])})}),
    "no GZIP": ("fashion_mnist", {f"{name}.gz": b"nothing" for name in FASHION}),
    "truncated GZIP": ("fashion_mnist", {f"{name}.gz": idx(pixels(9, 28, 28))[:-9] for name in FASHION}),
    "no IDX": ("fashion_mnist", {f"{name}.gz": gzip.compress(b"nothing") for name in FASHION}),
    "truncated IDX": (
        "fashion_mnist",
        {f"{name}.gz": gzip.compress(gzip.decompress(idx(pixels(9, 28, 28)))[:-9]) for name in FASHION},
    ),
    "no pickle": ("cifar10", dict.fromkeys(cifar_contents(), b"nothing")),
    "an empty file": ("cifar10", dict.fromkeys(cifar_contents(), b"")),
    "another pickle": ("cifar10", dict.fromkeys(cifar_contents(), pickle.dumps({b"data": 3}))),
    "a truncated pickle": ("cifar10", {name: content[:-99] for name, content in cifar_contents().items()}),
    "a class without a name": ("cifar10", dict.fromkeys(cifar_contents(), other_labels())),
    "smaller images": ("cifar10", dict.fromkeys(cifar_contents(), batch(pixels(2, 48), [1, 2]))),
    "another archive": ("cifar10", {ARCHIVE: cifar_archive(cifar_contents(), "cifar-100-python")}),
    "a truncated archive": ("cifar10", {ARCHIVE: cifar_archive(cifar_contents())[:-2000]}),
}


@pytest.mark.parametrize("case", DAMAGED)
def test_a_file_that_is_damaged_or_another_one_is_unreadable_with_its_path(tmp_path: Path, case: str) -> None:
    name, contents = DAMAGED[case]
    for file, content in contents.items():
        (tmp_path / file).write_bytes(content)
    reason = unreadable(named(name, tmp_path))

    assert reason.startswith(f"cannot be read from {tmp_path}/")
    assert reason.endswith("; download it again")


def test_the_split_that_is_given_holds_the_test_part_out(tmp_path: Path) -> None:
    (tmp_path / "mnist.npz").write_bytes(npz(**MNIST))
    given, content = named("mnist", tmp_path, splits="given"), named("mnist", tmp_path)

    assert {"train": {"train"}, "test": {"holdout"}} == {
        part: {record.split for record in records} for part, records in parts(given).items()
    }
    assert {None} == {record.split for records in parts(content).values() for record in records}


def test_images_are_named_by_part_and_place(tmp_path: Path) -> None:
    source = open_builtin(Data(images="builtin:cifar10"))

    assert "builtin:cifar10/test" == source.shown("test")
    assert "image 17 of builtin:cifar10/train" == source.shown(record_name("train", 17))


def test_the_stamp_of_a_part_follows_from_the_content_of_its_files(tmp_path: Path) -> None:
    stamps = []
    for content in (npz(**MNIST), npz(**MNIST | {"y_test": np.array([1, 1], "uint8")})):
        (tmp_path / "mnist.npz").write_bytes(content)
        entries = list(named("mnist", tmp_path).entries(Reports()))
        stamps.append(entries[0].stamp)

        assert ["test", "train"] == [entry.name for entry in entries]
        assert [len(content)] * 2 == [entry.size for entry in entries]
        assert [hashlib.sha256(content).hexdigest()] * 2 == [entry.stamp for entry in entries]
    assert stamps[0] != stamps[1]


def test_a_listing_downloads_nothing(server: FileServer) -> None:
    content = npz(**MNIST)
    source = opened(published_at(server, "mnist", [content]))

    assert [hashlib.sha256(content).hexdigest()] * 2 == [entry.stamp for entry in source.entries(Reports())]
    assert [] == server.asked


def test_a_data_set_is_downloaded_once(server: FileServer, cache: Path, caplog: pytest.LogCaptureFixture) -> None:
    data_set = published_at(server, "mnist", [npz(**MNIST)])
    with caplog.at_level(logging.INFO):
        first, second = parts(opened(data_set)), parts(opened(data_set))

    assert first == second
    assert ["/mnist.npz"] == server.asked
    assert ["mnist.npz"] == [path.name for path in (cache / "mnist").iterdir()]
    assert f"downloading {server.address}/mnist.npz (0.0 MB) to {cache}/mnist/mnist.npz" in caplog.text


def test_both_parts_may_be_read_at_once(server: FileServer) -> None:
    source = opened(published_at(server, "cifar10", [cifar_archive(cifar_contents())]))
    found: list[Record] = []
    threads = [
        threading.Thread(target=lambda entry=entry: found.extend(source.records(entry, Reports())))
        for entry in source.entries(Reports())
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert (18, [f"/{ARCHIVE}"]) == (len(found), server.asked)


def test_fashion_mnist_downloads_the_files_of_the_part_that_is_read(server: FileServer) -> None:
    contents = [idx(pixels(2, 28, 28)), idx(np.array([0, 1], "uint8"))] * 2
    source = opened(published_at(server, "fashion_mnist", contents))
    test, _ = source.entries(Reports())

    assert list(CLOTHES[:2]) == [record.label for record in source.records(test, Reports())]
    assert ["/t10k-images-idx3-ubyte.gz", "/t10k-labels-idx1-ubyte.gz"] == server.asked


def test_a_file_that_changed_in_the_cache_is_downloaded_again(server: FileServer, cache: Path) -> None:
    content = npz(**MNIST)
    data_set = published_at(server, "mnist", [content])
    parts(opened(data_set))
    (cache / "mnist" / "mnist.npz").write_bytes(content[:-1] + b"x")

    assert 3 == len(parts(opened(data_set))["train"])
    assert ["/mnist.npz"] * 2 == server.asked


@pytest.mark.parametrize(
    "first",
    [
        pytest.param(Answer(status=503), id="503"),
        pytest.param(Answer(status=429), id="429"),
        pytest.param(Answer(b"the beginning", announced=1000), id="interrupted"),
        pytest.param(Answer(b"less"), id="shorter"),
        pytest.param(Answer(status=302, location="/elsewhere"), id="moved"),
    ],
)
def test_a_download_that_may_succeed_later_is_tried_again(server: FileServer, first: Answer) -> None:
    content = npz(**MNIST)
    data_set = published_at(server, "mnist", [content])
    server.answers["/mnist.npz"].insert(0, first)
    server.answers["/elsewhere"] = [Answer(content)]

    assert 3 == len(parts(opened(data_set))["train"])
    assert 2 == len(server.asked)


def unused_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


SIZE = len(npz(**MNIST))
FAILURES = {
    "gone": (Answer(status=404), "the server answered 404 Not Found", 1),
    "an error": (Answer(status=500), "the server answered 500 Internal Server Error", 2),
    "interrupted": (
        Answer(b"x" * 5, announced=SIZE),
        "peer closed connection without sending complete message body",
        2,
    ),
    "shorter": (Answer(b"x" * 5), f"the server sent 5 of {SIZE:,} bytes", 2),
    "longer": (Answer(b"x" * (SIZE + 1)), f"the server sent more than the published {SIZE:,} bytes", 1),
    "other content": (Answer(b"x" * SIZE), f"its SHA-256 is {hashlib.sha256(b'x' * SIZE).hexdigest()}, and ", 1),
    "moved in circles": (Answer(status=302, location="/mnist.npz"), "Exceeded maximum allowed redirects", 21),
}


@pytest.mark.parametrize("case", FAILURES)
def test_a_download_that_fails_says_why_and_leaves_nothing(server: FileServer, cache: Path, case: str) -> None:
    answer, reason, requests = FAILURES[case]
    data_set = published_at(server, "mnist", [npz(**MNIST)])
    server.answers["/mnist.npz"] = [answer]

    with pytest.raises(StorageError) as error:
        parts(opened(data_set))
    assert f"builtin:mnist: {server.address}/mnist.npz was not downloaded: {reason}" in str(error.value)
    assert [] == list((cache / "mnist").iterdir())
    assert requests == len(server.asked)


def test_without_a_network_the_way_out_is_named(server: FileServer, cache: Path) -> None:
    data_set = published_at(server, "mnist", [npz(**MNIST)])
    url = f"http://127.0.0.1:{unused_port()}/mnist.npz"
    away = dataclasses.replace(
        data_set, files={"train": (data_set.files["train"][0]._replace(url=url),)} | {"test": ()}
    )

    with pytest.raises(StorageError) as error:
        list(opened(away).records(Entry("train", 0, ""), Reports()))
    assert f"builtin:mnist: {url} was not downloaded: [Errno 111] Connection refused. If this machine" in str(
        error.value
    )
    assert f"copy it to {cache}/mnist/mnist.npz, or anywhere, and set data.file" in str(error.value)
    assert str(error.value).endswith("to the path of mnist.npz")


def test_a_server_that_is_silent_is_not_waited_for(cache: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/mnist.npz"
        file = DATA_SETS["mnist"].files["train"][0]._replace(url=url)
        data_set = dataclasses.replace(DATA_SETS["mnist"], files={"train": (file,), "test": (file,)})
        with pytest.raises(StorageError, match=r"no answer within 0.1 s"):
            parts(opened(data_set, dataclasses.replace(QUICK, silence=0.1)))


def test_a_download_may_not_take_longer_than_its_limit(server: FileServer) -> None:
    data_set = published_at(server, "mnist", [npz(**MNIST)])

    with pytest.raises(StorageError, match=r"it took longer than 0 s; [\d,]+ of [\d,]+ bytes arrived"):
        parts(opened(data_set, dataclasses.replace(QUICK, whole=0)))


def test_a_cache_that_cannot_be_written_is_named(server: FileServer, cache: Path) -> None:
    cache.parent.mkdir()
    cache.write_text("a file in the place of the folder")
    data_set = published_at(server, "mnist", [npz(**MNIST)])

    with pytest.raises(StorageError, match=r"Set XDG_CACHE_HOME to a folder that can be written"):
        parts(opened(data_set))


def test_the_cache_is_below_home_unless_an_absolute_path_is_set(
    server: FileServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    monkeypatch.setenv("XDG_CACHE_HOME", "relative")
    parts(opened(published_at(server, "mnist", [npz(**MNIST)])))

    assert (tmp_path / "home" / ".cache" / "understudy" / "mnist" / "mnist.npz").exists()


REFUSALS: dict[str, tuple[dict[str, Any], str]] = {
    "another name": (
        {"images": "builtin:mnits"},
        "no built-in data set 'builtin:mnits'; there are builtin:digits, builtin:mnist, builtin:fashion_mnist, "
        "builtin:cifar10",
    ),
    "slices": ({"images": "builtin:mnist", "slices": ("x",)}, "builtin:mnist has no columns; remove data.slices and"),
    "columns": ({"images": "builtin:digits", "columns": {"label": "x"}}, "remove data.slices and data.columns"),
    "splits of digits": ({"images": "builtin:digits", "splits": "given"}, "builtin:digits comes without splits"),
    "file of digits": ({"images": "builtin:digits", "file": "x"}, "needs no file; remove data.file"),
    "a bucket": ({"images": "builtin:mnist", "file": "gs://b/mnist.npz"}, "data.file: gs://b/mnist.npz is not on this"),
    "no file": ({"images": "builtin:mnist", "file": "/no/file"}, "data.file: /no/file does not exist; builtin:mnist "),
    "a folder": ({"images": "builtin:cifar10", "file": "/"}, "data.file: / does not have the files; builtin:cifar10 "
                 "needs cifar-10-python.tar.gz, or the folder cifar-10-batches-py"),
    "a file": ({"images": "builtin:fashion_mnist", "file": "/etc/hosts"}, "data.file: /etc/hosts is a file; "
               "builtin:fashion_mnist needs a folder with t10k-images-idx3-ubyte.gz and t10k-labels-idx1-ubyte.gz"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSALS)
def test_what_a_data_set_does_not_have_is_refused(case: str) -> None:
    settings, expected = REFUSALS[case]

    assert expected in refusal(**settings)


def test_an_image_is_drawn_with_the_same_bytes_for_ever() -> None:
    """The expected bytes are written by hand: signature, IHDR, one uncompressed block, IEND."""
    image = np.array([[0, 255], [16, 32]], "uint8")
    expected = """
        89504e470d0a1a0a
        0000000d 49484452 00000002 00000002 0800000000 57dd52f8
        00000011 49444154 7801 01 0600 f9ff 00 00ff 00 1020 04420130 f8bcfdb3
        00000000 49454e44 ae426082
    """

    assert bytes.fromhex(expected) == encode(image)
    assert np.array_equal(image, np.asarray(Image.open(io.BytesIO(encode(image)))))


@hunt
@pytest.mark.parametrize("name", ["mnist", "cifar10"])
def test_keras_publishes_the_same_address_and_checksum(name: str) -> None:
    """Keras names them in its code, which is read and not run."""
    import importlib.util  # noqa: PLC0415 - only for this hunt

    keras = importlib.util.find_spec("keras")
    assert keras is not None
    assert keras.origin is not None
    text = (Path(keras.origin).parent / "src" / "datasets" / f"{name}.py").read_text()
    file = DATA_SETS[name].files["train"][0]

    assert file.sha256 in text
    assert file.url.rpartition("/")[0] in text
    assert file.name in text
