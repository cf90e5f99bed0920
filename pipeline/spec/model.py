"""What one classifier is: the YAML file in `models/`, checked, and with the overrides of one run."""

from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints, ValidationInfo, field_validator, model_validator

from pipeline.errors import BadInputError
from pipeline.new_images import NewImages
from pipeline.spec.base import FROM_A_FILE, Frozen, parse, wrong_field
from pipeline.spec.data import Data, Image
from pipeline.spec.networks import SHORTEST_SIDE, Application
from pipeline.spec.policies import AutomaticRollback, CanaryPolicy, GatePolicy, RetentionPolicy, Schedule
from pipeline.spec.training import Imported, Training
from serving.model_names import MODEL_PATTERN

Name = Annotated[str, StringConstraints(pattern=f"^{MODEL_PATTERN}$")]


class ModelSpec(Frozen):
    """A model file: a network is trained, or imported.

    `new_images` says only when a run begins, so it is in no record of a run.
    """

    model_config = ConfigDict(populate_by_name=True)

    name: Name
    description: str
    owner: str
    schedule: Schedule | None = None
    data: Data
    image: Image
    training: Training | None = None
    imported: Annotated[Imported | None, Field(alias="import")] = None
    gate: GatePolicy = GatePolicy()
    canary: CanaryPolicy = CanaryPolicy()
    retention: RetentionPolicy = RetentionPolicy()
    automatic_rollback: AutomaticRollback = AutomaticRollback()
    new_images: Annotated[NewImages | None, Field(exclude=True)] = None

    @model_validator(mode="after")
    def _fitting(self, info: ValidationInfo) -> "ModelSpec":
        if info.context != FROM_A_FILE:
            return self
        if (self.training is None) == (self.imported is None):
            raise ValueError(
                "give either `training`, for a network that is trained here, or `import`, for a finished one"
            )
        network = self.training.network if self.training else None
        if isinstance(network, Application):
            _require_fit(network, self.image)
        return self


def _require_fit(network: Application, image: Image) -> None:
    if image.channels != 3:
        raise wrong_field(f"{network.name} takes images in colour; give 3", "image", "channels", given=image.channels)
    for side in ("height", "width"):
        pixels = getattr(image, side)
        if pixels < SHORTEST_SIDE:
            problem = f"{network.name} takes no side below {SHORTEST_SIDE} pixels; give more"
            raise wrong_field(problem, "image", side, given=pixels)


class Overrides(Frozen):
    """What a person may change for one run: the trigger form of the `retrain` DAG.

    `accept_labels` names the labels that this run may add or remove, in comparison with the version that serves.
    """

    epochs: int | None = None
    learning_rate: float | None = None
    seed: int | None = None
    note: str = ""
    force: bool = False
    accept_labels: tuple[str, ...] = ()

    @field_validator("accept_labels")
    @classmethod
    def _without_empty_lines(cls, labels: tuple[str, ...]) -> tuple[str, ...]:
        return tuple(dict.fromkeys(label for label in labels if label))

    @model_validator(mode="after")
    def _need_a_reason(self) -> "Overrides":
        if self.force and not self.note.strip():
            raise ValueError("force overrules the gate and needs a note that says why")
        if self.accept_labels and not self.note.strip():
            raise ValueError("accept_labels changes the labels that clients get and needs a note that says why")
        return self


class RunSpec(Frozen):
    """`spec.json` of a run: all that later verbs read about what was asked for.

    `installed` is the digest of the packages that `snapshot` found, see `pipeline.runs.installed`. `network_source` is
    that of the file with the user's own network function; empty without one. Both are empty in records from before
    2026-12.
    """

    model: ModelSpec
    run_key: str
    requested_by: str
    note: str
    force: bool
    code_version: str
    accept_labels: tuple[str, ...] = ()
    installed: str = ""
    network_source: str = ""


def with_overrides(spec: ModelSpec, overrides: Overrides) -> ModelSpec:
    """The model as this run trains it.

    Raises:
        BadInputError: an overridden value is out of its range.
    """
    changed = {
        name: value for name in ("epochs", "learning_rate", "seed") if (value := getattr(overrides, name)) is not None
    }
    if spec.training is None:
        if changed:
            raise BadInputError(
                f"the overrides of this run: {', '.join(changed)} belong to a training, and {spec.name} is imported"
            )
        return spec
    training = parse(Training, spec.training.model_dump() | changed, source="the overrides of this run")
    return spec.model_copy(update={"training": training})
