"""Commands that send an image to the serving model, to be copied from the output of `make up`."""

import shlex
import sys
from pathlib import Path

from embedded.settings import StackSettings
from pipeline import layout
from serving.replica import STABLE

# `printf` and `tr`: the flags of `base64` differ between systems, and a command line is too short for a large image.
_CURL = """\
printf '{{"instances": [{{"b64": "%s"}}]}}' "$(base64 < "$IMAGE" | tr -d '\\n')" |
    curl -s -d @- {url}"""

_PYTHON = """\
{python} - "$IMAGE" <<'END'
import sys
from pathlib import Path

from serving.client import Client
from serving.fleet.fleet import parse_fleet
from serving.signature import inputs_of, labels_of

image = Path(sys.argv[1]).read_bytes()
with Client(parse_fleet("{replicas}"){label}) as client:
    answer = client.predict("{model}", inputs_of([image]))
print("version", answer.version, "says", labels_of(answer.outputs)[0])
END"""


def text(settings: StackSettings) -> str:
    """The two commands for a shell, with an image from the bucket if it has any."""
    image = _an_image(settings)
    when = "To ask what serves" if image else "To ask what serves, after the first release"
    given = shlex.quote(str(image)) if image else "path/to/an/image.png"
    return f"{when}, with curl and in Python:\n\nIMAGE={given}\n{curl(settings)}\n\n{python(settings)}\n"


def curl(settings: StackSettings) -> str:
    """The REST request to the first replica, with the image in Base64 and the label `stable` in the pinned roll-out."""
    label = "" if settings.rollout == "latest" else f"/labels/{STABLE}"
    return _CURL.format(url=f"{settings.rest_urls[0]}/v1/models/{settings.model}{label}:predict")


def python(settings: StackSettings) -> str:
    """The gRPC request with the client of this project, which uses the replicas in turn."""
    return _PYTHON.format(
        python=shlex.quote(sys.executable),
        replicas=",".join(settings.replicas),
        label=", label=None" if settings.rollout == "latest" else "",
        model=settings.model,
    )


def _an_image(settings: StackSettings) -> Path | None:
    folder = settings.bucket / layout.images(settings.model)
    return next((path for path in folder.glob("*") if path.suffix in (".png", ".jpg", ".jpeg")), None)
