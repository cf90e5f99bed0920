"""Which network is trained: the key that is given says of which kind it is.

network: {filters: [16, 32], dense: 64}                   a small convolutional network
network: {name: mobilenet_v3_small, weights: imagenet}    one of `keras.applications`
network: {function: my_package.networks:build}            any function of yours
"""

from typing import Annotated, Any, Literal

from pydantic import Discriminator, Field, JsonValue, StringConstraints, Tag, ValidationInfo, model_validator

from pipeline.spec.base import FROM_A_FILE, Frozen

Digest = Annotated[str, StringConstraints(pattern=r"^[0-9a-f]{64}$")]
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

    name: ApplicationName
    weights: Annotated[str, Field(min_length=1)] | None = None
    sha256: Digest | None = None
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.2

    @model_validator(mode="after")
    def _digest_of_a_file(self, info: ValidationInfo) -> "Application":
        if info.context == FROM_A_FILE and self.sha256 and self.weights in (None, IMAGENET):
            raise ValueError("sha256 belongs to a file of weights: give its path as `weights`, or leave sha256 out")
        return self


class OwnNetwork(Frozen):
    """A network that a function of yours makes.

    Attributes:
        function: `module:function`. It is called as `function(shape, classes, **options)` with the shape (height,
            width, channels) and the number of classes, and returns a Keras model from float32 pixels in [0, 1] of shape
            (batch, height, width, channels) to float32 probabilities of shape (batch, classes).
        options: its other arguments: numbers, texts, lists and tables, as in JSON. They are recorded, and in MLflow.
    """

    function: Annotated[str, StringConstraints(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$")]
    options: dict[str, JsonValue] = Field(default_factory=dict)


def _kind(network: Any) -> str:
    if isinstance(network, Application) or (isinstance(network, dict) and "name" in network):
        return "<application>"
    if isinstance(network, OwnNetwork) or (isinstance(network, dict) and "function" in network):
        return "<own>"
    return "<small>"


# The tags stand in no message, see `pipeline.validation`.
Network = Annotated[
    Annotated[SmallNetwork, Tag("<small>")]
    | Annotated[Application, Tag("<application>")]
    | Annotated[OwnNetwork, Tag("<own>")],
    Discriminator(_kind),
]
