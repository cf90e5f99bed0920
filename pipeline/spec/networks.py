"""Which network is trained: the key that is given says of which kind it is.

network: {filters: [16, 32], dense: 64}                   a small convolutional network
network: {name: mobilenet_v3_small, weights: imagenet}    one of `keras.applications`
network: {function: my_package.networks:build}            any function of yours
"""

import re
from typing import Annotated, Any, Literal, get_args

from pydantic import (
    BeforeValidator,
    Discriminator,
    Field,
    JsonValue,
    StringConstraints,
    Tag,
    ValidationInfo,
    model_validator,
)

from pipeline.spec.base import FROM_A_FILE, Digest, Frozen, wrong_field

# The names in `keras.applications`, in lower case with underscores.
ApplicationName = Literal[
    "resnet50",
    "efficientnet_v2_b0",
    "efficientnet_v2_b1",
    "efficientnet_v2_b2",
    "efficientnet_v2_b3",
    "efficientnet_v2_s",
    "mobilenet_v3_small",
    "mobilenet_v3_large",
]
IMAGENET = "imagenet"
# The shortest side, in pixels, that every application takes.
SHORTEST_SIDE = 32


class SmallNetwork(Frozen):
    """A small convolutional network: one 3x3 layer with pooling per entry of `filters`, then one dense layer."""

    example = "{filters: [16, 32], dense: 64}"
    others = ("name", "weights", "sha256", "function", "options")

    filters: tuple[Annotated[int, Field(ge=1)], ...] = (16, 32)
    dense: Annotated[int, Field(ge=1)] = 64
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2


class Application(Frozen):
    """A network of `keras.applications` below a new head: global average, dropout, one dense layer.

    Attributes:
        name: which one.
        weights: `imagenet`: what Keras publishes; a `.weights.h5` or `.h5` file of this machine, `gs://` or `s3://`;
            null: random, so that the whole network is trained from the first epoch on.
        sha256: of that file, in hexadecimal. Needed for a file, so that a run says which weights it began with.
        dropout: in the head.
    """

    example = "{name: mobilenet_v3_small, weights: imagenet}"

    name: ApplicationName
    weights: Annotated[str, Field(min_length=1)] | None = None
    sha256: Digest | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2

    @model_validator(mode="after")
    def _digest_of_a_file(self, info: ValidationInfo) -> "Application":
        if info.context == FROM_A_FILE and self.sha256 and self.weights in (None, IMAGENET):
            raise wrong_field(
                "it belongs to a file of weights: give its path as `weights`, or leave sha256 out",
                "sha256",
                given=self.sha256,
            )
        return self


class OwnNetwork(Frozen):
    """A network that a function of yours makes.

    Attributes:
        function: `module:function`. It is called as `function(shape, classes, **options)` with the shape (height,
            width, channels) and the number of classes, and returns a Keras model from float32 pixels in [0, 1] of shape
            (batch, height, width, channels) to float32 probabilities of shape (batch, classes).
        options: its other arguments: numbers, texts, lists and tables, as in JSON. They are recorded, and in MLflow.
    """

    example = "{function: my_package.networks:build}"

    function: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
    options: dict[str, JsonValue] = Field(default_factory=dict)


# The fields of which one says the kind; a field that several have says none, and the first kind wins.
_SAYS = {
    "name": "<application>",
    "function": "<own>",
    "filters": "<small>",
    "dense": "<small>",
    "weights": "<application>",
    "sha256": "<application>",
    "options": "<own>",
}


def _kind(network: Any) -> str:
    if isinstance(network, Application):
        return "<application>"
    if isinstance(network, OwnNetwork):
        return "<own>"
    fields = network if isinstance(network, dict) else {}
    return next((kind for field, kind in _SAYS.items() if field in fields), "<small>")


def _group(network: Any) -> Any:
    """Say how the name of a network is written where it stands at a wrong place."""
    if isinstance(network, dict):
        named = [value for value in network.values() if _application(value) == value]
        if named and "name" not in network and _kind(network) != "<own>":
            raise ValueError(f"the name of a network of keras.applications is `name`; give {{name: {named[0]}}}")
    elif not isinstance(network, Frozen):
        raise ValueError(f"give its fields, for example {_example(network)}")
    return network


def _example(network: Any) -> str:
    name = _application(network)
    if name is not None:
        return f"{{name: {name}}}"
    if isinstance(network, str) and ":" in network:
        return f"{{function: {network}}}"
    return f"{SmallNetwork.example}, {Application.example} or {OwnNetwork.example}"


def _application(text: Any) -> str | None:
    """The application whose name this is, however it is written: `MobileNetV3Large`."""
    plain = re.sub(r"[^a-z0-9]", "", text.lower()) if isinstance(text, str) else None
    return next((name for name in get_args(ApplicationName) if name.replace("_", "") == plain), None)


# The tags stand in no message, see `pipeline.validation`.
Network = Annotated[
    Annotated[SmallNetwork, Tag("<small>")]
    | Annotated[Application, Tag("<application>")]
    | Annotated[OwnNetwork, Tag("<own>")],
    Discriminator(_kind),
    BeforeValidator(_group),
]
