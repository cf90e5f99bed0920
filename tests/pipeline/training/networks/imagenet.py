"""A program for the tests: download published weights from a server on this machine. Prints what it saw as JSON.

Argument: a folder to write to.
"""

import contextlib
import hashlib
import http.server
import io
import json
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path

from keras.src.applications import efficientnet_v2, mobilenet_v3, resnet

from pipeline.errors import BadInputError
from pipeline.training.networks.published import PUBLISHED, Published, imagenet_weights
from tests.ports import free_port

CONTENT = bytes(range(256)) * 40
MD5 = hashlib.md5(CONTENT, usedforsecurity=False).hexdigest()


class Server(http.server.BaseHTTPRequestHandler):
    requests = 0

    def do_GET(self) -> None:
        Server.requests += 1
        if "silent" in self.path:
            time.sleep(2)
            return
        self.send_response(404 if "absent" in self.path else 200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        self.wfile.write(CONTENT)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - of the base class
        pass


@contextlib.contextmanager
def serving() -> Iterator[str]:
    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Server)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()


def refused(published: Published, folder: Path) -> str:
    try:
        imagenet_weights("resnet50", published, folder, silence=1)
    except BadInputError as error:
        return str(error)
    return ""


def known_to_keras() -> dict[str, list[str]]:
    """The address and the MD5 of the file without the top, as Keras has them. It gives them to nobody."""
    found = {
        "resnet50": [
            f"{resnet.BASE_WEIGHTS_PATH}resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5",
            resnet.WEIGHTS_HASHES["resnet50"][1],
        ]
    }
    for kind in ("small", "large"):
        name = f"{kind}_224_1.0_float"
        address = f"{mobilenet_v3.BASE_WEIGHT_PATH}weights_mobilenet_v3_{name}_no_top_v2.h5"
        found[f"mobilenet_v3_{kind}"] = [address, mobilenet_v3.WEIGHTS_HASHES[name][1]]
    for kind in ("b0", "b1", "b2", "b3", "s"):
        address = f"{efficientnet_v2.BASE_WEIGHTS_PATH}efficientnetv2-{kind}_notop.h5"
        key = "-s" if kind == "s" else kind
        found[f"efficientnet_v2_{kind}"] = [address, efficientnet_v2.WEIGHTS_HASHES[key][1]]
    return found


def main(folder: Path) -> None:
    output = io.StringIO()
    with serving() as address, contextlib.redirect_stdout(output):
        good = Published(f"{address}/some_notop.h5", MD5)
        path = imagenet_weights("resnet50", good, folder / "cache")
        again = imagenet_weights("resnet50", good, folder / "cache")
        requests = Server.requests
        right = path.read_bytes() == CONTENT
        path.write_bytes(CONTENT[:-1])
        imagenet_weights("resnet50", good, folder / "cache")
        (folder / "a file").write_text("")
        messages = {
            "absent": refused(Published(f"{address}/absent.h5", MD5), folder / "cache"),
            "damaged": refused(Published(f"{address}/other.h5", MD5[::-1]), folder / "cache"),
            "silent": refused(Published(f"{address}/silent.h5", MD5), folder / "cache"),
            "no network": refused(Published(f"http://127.0.0.1:{free_port()}/some.h5", MD5), folder / "cache"),
            "no folder": refused(good, folder / "a file" / "weights"),
        }
    seen = {
        "right": right and path == again,
        "requests": requests,
        "repaired": path.read_bytes() == CONTENT,
        "left": sorted(each.name for each in (folder / "cache").iterdir()),
        "messages": messages,
        "printed": output.getvalue(),
        "published": {name: list(each) for name, each in PUBLISHED.items()},
        "known to keras": known_to_keras(),
    }
    print(json.dumps(seen))  # noqa: T201 - the test reads it


if __name__ == "__main__":
    main(Path(sys.argv[1]))
