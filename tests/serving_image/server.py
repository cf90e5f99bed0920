"""A program: the embedded model server with the loader of tests/fleet.py, whose classifiers need no TensorFlow.

python -m tests.serving_image.server --port=8500 --model_config_file=...
"""

from functools import partial

from serving.model_server import server
from serving.model_server.__main__ import main
from tests.fleet import load

if __name__ == "__main__":
    vars(server)["Server"] = partial(server.Server, load=load)
    main()
