"""Images in, labels and probabilities out, by the embedded server: pictures, arrays, names of classes, old versions."""

import asyncio
import inspect
import io
import re
import textwrap
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, ClassVar

import grpc
import numpy as np
import pytest
from PIL import Image as Picture

from serving.apis import get_model_metadata_pb2, predict_pb2
from serving.client import AsyncClient, Classified, Client
from serving.client.class_names import AGAIN_SECONDS, MOST, ClassNames
from serving.errors import NotServedError, RefusedError, ServerFaultError, UnreachableError
from serving.fleet.fleet import parse_fleet
from serving.grpc_replica import GrpcReplica
from serving.wire import from_proto, to_proto
from tests.fleet import LABELS, Classifier, RunningReplica, outputs_for, write_classifier
from tests.releases import MODEL
from tests.serving.client.conftest import AnyClient, MakeClient
from tests.serving.client.servers import SmallServer, eventually
from tests.serving.client.test_picker import Clock

OLD, NEW = 1, 2


@pytest.fixture(scope="module")
def replica(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningReplica]:
    """v1 was exported before there were names of classes. v2 has each label one index later."""
    base = tmp_path_factory.mktemp("classifiers")
    write_classifier(base / MODEL / str(OLD), old=True)
    write_classifier(base / MODEL / str(NEW), moved=1)
    (base / "models.config").write_text(
        f'model_config_list {{ config {{ name: "{MODEL}" base_path: "{base / MODEL}" model_platform: "tensorflow" '
        f"model_version_policy {{ specific {{ versions: {OLD} versions: {NEW} }} }} "
        f'version_labels {{ key: "stable" value: {NEW} }} }} }}'
    )
    running = RunningReplica(base / "models.config")
    running.start()
    with GrpcReplica(running.address, timeout=10) as asked:
        eventually(lambda: all(getattr(asked.status(MODEL, each), "available", False) for each in (OLD, NEW)))
    yield running
    running.stop()


@pytest.fixture
def client(replica: RunningReplica, make_client: MakeClient) -> Iterator[AnyClient]:
    with make_client(parse_fleet(replica.address)) as made:
        yield made


def picture(shade: int, kind: str = "PNG", mode: str = "L") -> bytes:
    stream = io.BytesIO()
    Picture.new("L", (5, 4), shade).convert(mode).save(stream, kind)
    return stream.getvalue()


def test_several_images_are_answered_in_their_order(client: AnyClient, replica: RunningReplica) -> None:
    found = client.classify(MODEL, [picture(0), picture(250, "JPEG", "RGB"), np.full((4, 5), 100, np.uint8)])

    assert ("0", "3", "1") == found.labels
    assert (NEW, replica.address, 3) == (found.version, found.address, len(found))
    assert (3, len(LABELS)) == found.probabilities.shape


def test_floats_are_sent_to_the_signature_for_pixels(client: AnyClient) -> None:
    """...and an old version says that it lacks it."""
    floats = np.full((4, 5, 1), 0.6)

    assert ("2",) == client.classify(MODEL, floats).labels
    with pytest.raises(RefusedError, match='Serving signature key "serving_tensor" not found'):
        client.classify(MODEL, floats, version=OLD)


def test_the_most_probable_classes_have_their_names(client: AnyClient) -> None:
    found = client.classify(MODEL, picture(130))

    assert ("3", "0", "1", "2") == found.class_names == client.class_names(MODEL, NEW)
    assert [["2", "3"]] == [[label for label, _ in each] for each in found.top(2)]
    assert [["2", "3", "0", "1"]] == [[label for label, _ in each] for each in found.top(100)]
    assert [0.7, 0.1, 0.1, 0.1] == [round(probability, 6) for _, probability in found.top(4)[0]]


def test_without_names_the_other_classes_are_named_by_their_numbers(client: AnyClient) -> None:
    found = client.classify(MODEL, picture(130), version=OLD)

    assert OLD == found.version
    assert [["2", "class 0", "class 1", "class 3"]] == [[label for label, _ in each] for each in found.top(4)]
    assert client.class_names(MODEL, OLD) is None


def test_what_is_no_image_is_refused_by_the_server_or_before_it_is_sent(client: AnyClient) -> None:
    with pytest.raises(RefusedError, match="INVALID_ARGUMENT: Unknown image file format"):
        client.classify(MODEL, b"\x89PNG and nothing else")
    with pytest.raises(ValueError, match="there are no images"):
        client.classify(MODEL, [])
    with pytest.raises(ValueError, match="the timeout is 0 s"):
        client.classify(MODEL, b"1", timeout=0)


def test_a_version_that_is_not_there_is_named(client: AnyClient) -> None:
    with pytest.raises(NotServedError, match="99"):
        client.classify(MODEL, b"1", version=99)


def test_the_signatures_of_a_version_may_be_asked_for(client: AnyClient, replica: RunningReplica) -> None:
    found, old = client.metadata(MODEL), client.metadata(MODEL, version=OLD)

    assert (NEW, replica.address) == (found.version, found.address)
    assert {"serving_default", "serving_labels", "serving_tensor"} == set(found.signatures)
    assert ["image_bytes"] == list(found.signatures["serving_default"].inputs)
    assert (OLD, {"serving_default"}) == (old.version, set(old.signatures))


def test_a_signature_outputs_and_a_label_may_be_chosen(client: AnyClient) -> None:
    pixels = {"pixels": np.full((1, 4, 5, 1), 0.6, np.float32)}
    found = client.predict(MODEL, pixels, signature="serving_tensor", outputs=["label"], label=None)

    assert {"label": [b"2"]} == {name: array.tolist() for name, array in found.outputs.items()}
    with pytest.raises(NotServedError, match="Unrecognized servable version label: other"):
        client.predict(MODEL, pixels, label="other")


def test_the_docstrings_work_as_written(
    replica: RunningReplica, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the addresses are replaced."""
    (tmp_path / "image.png").write_bytes(picture(255))
    monkeypatch.chdir(tmp_path)
    for kind in (Client, AsyncClient):
        (code, *_) = re.findall(r"^    .*\n(?:    .*\n|\n)*", inspect.cleandoc(str(kind.__doc__)), re.MULTILINE)
        code = code.replace("digits-1:8500,digits-2:8500", replica.address).replace('"digits"', repr(MODEL))
        exec(textwrap.dedent(code), {})  # noqa: S102 - our own docstring
    place = f"version {NEW} on {replica.address}"

    assert [
        *(f"{label}: {share}, says {place}" for label, share in (("3", "70%"), ("0", "10%"), ("1", "10%"))),
        f"{place} says ('3', '3')",
    ] == capsys.readouterr().out.splitlines()


class Classifying(SmallServer):
    """A server of a classifier that counts the requests for the names of its classes."""

    def __init__(self, *, names: Any = None, version: int = 3) -> None:
        super().__init__(self.answer)
        self.asked_for_names = 0
        self.version = version
        self.names = [name.encode() for name in LABELS] if names is None else names

    def answer(self, request: Any, context: grpc.ServicerContext) -> Any:
        if request.model_spec.signature_name == "serving_labels":
            self.asked_for_names += 1
            if isinstance(self.names, grpc.StatusCode):
                context.abort(self.names, "no names now")
            outputs = {"labels": np.array([self.names], object)}
        else:
            images = np.atleast_1d(from_proto(request.inputs["image_bytes"])).tolist()
            outputs = outputs_for([Classifier().answer(image) for image in images])
        reply = predict_pb2.PredictResponse(outputs={name: to_proto(array) for name, array in outputs.items()})
        reply.model_spec.version.value = request.model_spec.version.value or self.version
        return reply


def test_names_are_asked_for_once_for_each_version_however_many_need_them(make_client: MakeClient) -> None:
    with Classifying() as server, make_client(parse_fleet(server.address)) as client, ThreadPoolExecutor(8) as pool:
        found = list(pool.map(lambda _: client.classify("m", b"1"), range(40)))
        assert 1 == server.asked_for_names
        server.version = 4
        client.classify("m", b"1")
        client.class_names("m", 3)

        assert 2 == server.asked_for_names
    assert {LABELS} == {each.class_names for each in found}


@pytest.mark.parametrize(
    "names",
    [
        grpc.StatusCode.INTERNAL,
        grpc.StatusCode.INVALID_ARGUMENT,
        [b"one too few"] * 3,
        [b"a", b"b", b"c", b"\xff\xff"],
    ],
)
def test_names_that_cannot_be_had_do_not_keep_an_answer_back(make_client: MakeClient, names: Any) -> None:
    """They are asked for again later, not for each request."""
    with Classifying(names=names) as server, make_client(parse_fleet(server.address)) as client:
        found = [client.classify("m", b"1") for _ in range(5)]

        assert 1 == server.asked_for_names
    assert {None} == {each.class_names for each in found}
    assert ("1", "class 0") == tuple(label for label, _ in found[0].top(2)[0])


def test_what_is_no_classifier_is_named_with_its_outputs(make_client: MakeClient) -> None:
    def other(_: Any, __: grpc.ServicerContext) -> Any:
        return predict_pb2.PredictResponse(outputs={"boxes": to_proto(np.zeros(1, np.float32))})

    with (
        SmallServer(other) as server,
        make_client(parse_fleet(server.address)) as client,
        pytest.raises(ServerFaultError, match=r"has no output 'label', only \['boxes'\]; `predict` asks any model"),
    ):
        client.classify("m", b"1")


@pytest.mark.parametrize(
    ("values", "message"),
    [
        (np.array([[0.5, np.nan]], np.float32), "probabilities that are not finite"),
        (np.array([[0.5, np.inf]], np.float32), "probabilities that are not finite"),
        (np.array([[b"a", b"b"]], object), "1 labels and object probabilities"),
    ],
)
def test_what_is_no_probability_is_the_server_s_fault(make_client: MakeClient, values: Any, message: str) -> None:
    def broken(_: Any, __: grpc.ServicerContext) -> Any:
        outputs = {"label": np.array([b"cat"], object), "probabilities": values}
        return predict_pb2.PredictResponse(outputs={name: to_proto(each) for name, each in outputs.items()})

    with (
        SmallServer(broken) as server,
        make_client(parse_fleet(server.address)) as client,
        pytest.raises(ServerFaultError, match=message),
    ):
        client.classify("m", b"1")


class _OddMetadata(SmallServer):
    def GetModelMetadata(self, request: Any, context: grpc.ServicerContext) -> Any:  # noqa: N802 - gRPC's name
        reply = get_model_metadata_pb2.GetModelMetadataResponse()
        signatures = reply.metadata["signature_def"]
        signatures.Pack(get_model_metadata_pb2.SignatureDefMap())
        signatures.value = b"\xff"
        return reply


def test_metadata_that_is_no_message_is_the_server_s_fault(make_client: MakeClient) -> None:
    with (
        _OddMetadata() as server,
        make_client(parse_fleet(server.address)) as client,
        pytest.raises(ServerFaultError, match="its answer cannot be read: Error parsing message"),
    ):
        client.metadata("m")


def test_an_answer_that_cannot_be_read_is_the_server_s_fault(make_client: MakeClient) -> None:
    def broken(_: Any, __: grpc.ServicerContext) -> Any:
        return predict_pb2.PredictResponse(outputs={"y": {"dtype": 1, "tensor_content": b"odd"}})

    with (
        SmallServer(broken) as server,
        make_client(parse_fleet(server.address)) as client,
        pytest.raises(ServerFaultError, match="its answer cannot be read: tensor_content does not fill the shape"),
    ):
        client.predict("m", {"x": np.ones(1, np.float32)})


class Noted(np.ndarray[Any, Any]):
    """An array that notes the threads in which it is encoded."""

    threads: ClassVar[set[threading.Thread]] = set()

    @property
    def __array_interface__(self) -> Any:
        self.threads.add(threading.current_thread())
        return np.asarray(self).__array_interface__


def test_an_event_loop_is_not_held_up_by_encoding() -> None:
    array = np.zeros((4, 5), np.uint8).view(Noted)

    async def run() -> tuple[str, ...]:
        with Classifying() as server:
            async with AsyncClient(parse_fleet(server.address)) as client:
                return (await client.classify("m", [array, b"1"])).labels

    assert ("0", "1") == asyncio.run(run())
    assert Noted.threads
    assert threading.main_thread() not in Noted.threads


def classified(rows: list[list[float]], names: tuple[str, ...] | None = None) -> Classified:
    probabilities = np.array(rows, np.float32)
    return Classified(1, "a:1", tuple(f"label {row.argmax()}" for row in probabilities), probabilities, names)


def test_equal_probabilities_are_in_the_order_of_the_classes() -> None:
    found = classified([[0.25, 0.25, 0.25, 0.25], [0.1, 0.4, 0.1, 0.4]], ("a", "b", "c", "d")).top(3)

    assert [["label 0", "b", "c"], ["label 1", "d", "a"]] == [[label for label, _ in each] for each in found]


def test_a_top_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="the top 0 classes do not exist"):
        classified([[1.0]]).top(0)


def test_what_is_known_of_names_is_bounded_and_failures_are_forgotten() -> None:
    clock = Clock()
    names = ClassNames(now=clock)
    names.failed("m", 1, UnreachableError("a:1", "down"))
    names.failed("m", 2, RefusedError("a:1", 'FAILED_PRECONDITION: Serving signature key "serving_labels" not found.'))
    names.store("m", 3, ("cat",))
    assert [False] * 3 == [names.due("m", version) for version in (1, 2, 3)]
    clock.now += AGAIN_SECONDS

    assert [True, False, False] == [names.due("m", version) for version in (1, 2, 3)]
    assert [None, None, ("cat",)] == [names.get("m", version) for version in (1, 2, 3)]
    for version in range(4, 3 + MOST):
        names.store("m", version, ("cat",))
    assert [True, False] == [names.due("m", version) for version in (2, 3)]
