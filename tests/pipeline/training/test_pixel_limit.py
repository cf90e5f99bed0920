"""The exported graph on a server: an image that claims too many pixels is refused before memory is taken for it."""

import io
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
import pytest
from PIL import Image

from pipeline.safety import scan
from pipeline.training.preprocessing import HEADER_OF_PNG
from serving.apis import prediction_service_pb2_grpc
from serving.images import MOST_PIXELS
from serving.signature import predict_request, probabilities_of
from serving.wire import from_proto
from tests import pictures
from tests.pictures import PNG_SIGNATURE, chunk, encoded, noise
from tests.pipeline.training.training import LABELS
from tests.ports import free_port

NAME = "shades"
ALLOWED_MB = 50
LIMIT = f"the image must have 1 to {MOST_PIXELS} pixels; make it smaller. Its header claims"
FORMAT = "the image is not a PNG or JPEG; convert it before it is sent"


@dataclass(frozen=True)
class Running:
    pid: int
    stub: Any
    model: Path

    def predict(self, *images: bytes) -> Any:
        return self.stub.Predict(predict_request(NAME, images), timeout=20)

    def refusal(self, *images: bytes) -> str:
        with pytest.raises(grpc.RpcError) as raised:
            self.predict(*images)
        assert grpc.StatusCode.INVALID_ARGUMENT is raised.value.code()
        return str(raised.value.details())

    def growth_mb(self, ask: Callable[[], str]) -> tuple[str, int]:
        """What is answered, and by how much more memory the process had at most meanwhile."""
        proc = Path("/proc") / str(self.pid)
        (proc / "clear_refs").write_text("5")  # resets the peak
        before = _megabytes(proc, "VmRSS")
        answer = ask()
        return answer, _megabytes(proc, "VmHWM") - before


def _megabytes(proc: Path, name: str) -> int:
    (line,) = (line for line in (proc / "status").read_text().splitlines() if line.startswith(f"{name}:"))
    return int(line.split()[1]) // 1024


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    base, port = tmp_path_factory.mktemp("model"), free_port()
    exporting = [sys.executable, "-m", "tests.pipeline.training.exporting", str(base / "1"), "3"]
    subprocess.run(exporting, check=True, capture_output=True)
    words = [f"--port={port}", f"--model_name={NAME}", f"--model_base_path={base}"]
    with (
        (base / "log").open("wb") as log,
        subprocess.Popen([sys.executable, "-m", "serving.model_server", *words], stdout=log, stderr=log) as started,
        grpc.insecure_channel(f"127.0.0.1:{port}") as channel,
    ):
        try:
            grpc.channel_ready_future(channel).result(timeout=30)
            running = Running(
                pid=started.pid,
                stub=prediction_service_pb2_grpc.PredictionServiceStub(channel),
                model=base / "1",
            )
            running.stub.Predict(predict_request(NAME, [encoded(noise(), "PNG")]), timeout=30, wait_for_ready=True)
            yield running
        finally:
            started.kill()


@pytest.mark.parametrize("others", [0, 3])
@pytest.mark.parametrize("bomb", [pictures.png_bomb(), pictures.jpeg_bomb()], ids=["PNG", "JPEG"])
def test_a_bomb_is_refused_and_takes_no_memory(server: Running, bomb: bytes, others: int) -> None:
    """Alone, and as the last of a batch."""
    good = encoded(noise(), "JPEG")
    server.predict(good, good)
    refusal, growth = server.growth_mb(lambda: server.refusal(*[good] * others, bomb))

    assert f"{LIMIT}] [20000 20000]" in refusal
    assert growth < ALLOWED_MB


@pytest.mark.parametrize("bomb", [pictures.png_bomb, pictures.jpeg_bomb])
def test_the_limit_is_on_the_pixels(server: Running, bomb: Any) -> None:
    """One more row and column is refused; without them, the decoder finds that the file is cut off."""
    side = int(MOST_PIXELS**0.5)

    assert LIMIT in server.refusal(bomb(side + 1))
    assert LIMIT not in server.refusal(bomb(side)[:-10])


def test_a_size_that_another_chunk_claims_is_not_believed(server: Running) -> None:
    """A chunk that libpng does not know may stand before the one with the size."""
    bomb = pictures.png_bomb()
    decoy = PNG_SIGNATURE + chunk(b"deCo", b"\0\0\0\1\0\0\0\1") + bomb[len(PNG_SIGNATURE) :]
    refusal, growth = server.growth_mb(lambda: server.refusal(decoy))

    assert FORMAT in refusal
    assert growth < ALLOWED_MB


@pytest.mark.parametrize(
    "content",
    [b"", b"no image at all", *(encoded(noise(), kind) for kind in ("BMP", "GIF", "WEBP", "TIFF"))],
    ids=["empty", "text", "BMP", "GIF", "WEBP", "TIFF"],
)
def test_what_is_not_a_png_or_jpeg_is_refused(server: Running, content: bytes) -> None:
    assert FORMAT in server.refusal(content)


@pytest.mark.parametrize("start", [PNG_SIGNATURE, HEADER_OF_PNG, b"\xff\xd8\xff", encoded(noise(), "JPEG")[:40]])
def test_a_header_that_is_cut_off_is_refused(server: Running, start: bytes) -> None:
    assert server.refusal(start)


@pytest.mark.parametrize("size", [b"\0" * 8, b"\xff" * 8, b"\x80\0\0\0\0\0\0\1", b"\x7f\xff\xff\xff\x7f\xff\xff\xff"])
def test_a_size_that_no_png_may_have_is_refused(server: Running, size: bytes) -> None:
    assert LIMIT in server.refusal(HEADER_OF_PNG + size + bytes(20))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA"])
def test_every_png_and_jpeg_that_was_served_is_served(server: Running, mode: str) -> None:
    contents = [encoded(noise(mode), "PNG"), *([encoded(noise(mode), "JPEG")] if mode in ("L", "RGB") else [])]
    outputs = server.predict(*contents).outputs

    assert (len(contents), len(LABELS)) == probabilities_of({k: from_proto(v) for k, v in outputs.items()}).shape


def test_the_scan_lets_the_limit_pass(server: Running) -> None:
    assert [] == scan.problems(server.model, labels=LABELS, server_tensorflow="2.21")


def test_a_large_photograph_is_served(server: Running) -> None:
    stream = io.BytesIO()
    Image.new("RGB", (4000, 3000), "red").save(stream, "JPEG")

    assert server.predict(stream.getvalue())
