"""Commands that send an image to a model that serves, to be copied from the output of `make up`."""

import shlex
import sys
from pathlib import Path

from embedded.local_fleet import LocalFleet
from embedded.settings import StackSettings
from pipeline import layout

_CURL = """\
curl -s -F image=@"$IMAGE" {url}"""

_PYTHON = """\
{python} - "$IMAGE" <<'END'
import sys
from pathlib import Path

from serving.client import Client
from serving.fleet.fleet import parse_fleet

image = Path(sys.argv[1]).read_bytes()
with Client(parse_fleet("{replicas}"){label}) as client:
    answer = client.classify("{model}", image)
print("version", answer.version, "says", answer.labels[0])
END"""


def text(settings: StackSettings) -> str:
    """The two commands for a shell, for the first model, with an image from the bucket if it has any."""
    first, *others = settings.fleets
    image = _an_image(settings, first.model)
    what = f"what serves {first.model}" if others else "what serves"
    when = f"To ask {what}" if image else f"To ask {what}, after the first release"
    given = shlex.quote(str(image)) if image else "path/to/an/image.png"
    lines = "".join(f"\n{_of_another(settings, fleet)}" for fleet in others)
    commands = f"IMAGE={given}\n{curl(settings, first)}\n\n{python(settings, first)}\n"
    return f"{when}, with curl and in Python:\n\n{commands}{lines}"


def curl(settings: StackSettings, fleet: LocalFleet) -> str:
    """The request to the gateway, which asks the replicas in turn for the version that serves."""
    return _CURL.format(url=_url(settings, fleet))


def python(settings: StackSettings, fleet: LocalFleet) -> str:
    """The gRPC request with the client of this project, which uses the replicas in turn."""
    return _PYTHON.format(
        python=shlex.quote(sys.executable),
        replicas=",".join(fleet.addresses),
        label=", label=None" if settings.rollout == "latest" else "",
        model=fleet.model,
    )


def _url(settings: StackSettings, fleet: LocalFleet) -> str:
    return f"{settings.gateway_url}/v1/classify/{fleet.model}"


def _of_another(settings: StackSettings, fleet: LocalFleet) -> str:
    return f"The same for {fleet.model}: {_url(settings, fleet)}, and {','.join(fleet.addresses)} in Python."


def _an_image(settings: StackSettings, model: str) -> Path | None:
    folder = settings.bucket / layout.images(model)
    return next((path for path in folder.glob("*") if path.suffix in (".png", ".jpg", ".jpeg")), None)
