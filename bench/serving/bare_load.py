"""Run as a program: `bare_load SAVED_MODEL` loads it once for each line it reads, and prints how long that took.

The server's own loader with nothing around it: no polling, no manager, no requests.
"""

import os
import sys
import time

from serving.model_server.flags import Flags
from serving.model_server.lifecycle.servable import ServableId
from serving.model_server.server import tensorflow_loader


def main(path: str) -> None:
    load = tensorflow_loader(Flags(model_base_path=path))
    for number, _ in enumerate(sys.stdin, start=1):
        start = time.perf_counter()
        model = load(ServableId("cnn", number), path)
        seconds = time.perf_counter() - start
        model.close()
        sys.stdout.write(f"{seconds}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    main(sys.argv[1])
