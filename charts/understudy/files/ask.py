"""Ask a model for a prediction, as a client does: `ask.py HOST:PORT MODEL LABEL`; the label may be empty.

The image is black, of one pixel: the model scales it. What it takes it for says nothing; that it answers does.
"""

import base64
import sys

from serving.client import Client
from serving.errors import DiscoveryError, ServingError
from serving.fleet.fleet import parse_fleet
from serving.signature import inputs_of, labels_of

PIXEL = base64.b64decode("iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAAAAAA6fptVAAAACklEQVR4nGNgAAAAAgABSK+kcQAAAABJRU5ErkJggg==")

address, model, label = sys.argv[1:]
with Client(parse_fleet(address), label=label or None, timeout=10) as client:
    try:
        answer = client.predict(model, inputs_of([PIXEL]))
    except (DiscoveryError, ServingError) as error:
        sys.exit(f"no answer for {model} from {address}: {error}. Was a version released? `understudy status` says so")
sys.stdout.write(f"v{answer.version} of {model} answers: {labels_of(answer.outputs)[0]}\n")
