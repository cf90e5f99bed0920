"""What one classifier is: the YAML file in `models/`, checked, and with the overrides of one run."""

from pipeline.spec.base import FROM_A_FILE, parse
from pipeline.spec.data import Data, DataChecks, Image
from pipeline.spec.model import ModelSpec, Overrides, RunSpec, with_overrides
from pipeline.spec.networks import IMAGENET, Application, Network, OwnNetwork, SmallNetwork
from pipeline.spec.policies import AutomaticRollback, CanaryPolicy, GatePolicy, RetentionPolicy
from pipeline.spec.training import (
    Augmentation,
    EarlyStopping,
    FineTuning,
    Imported,
    LearningRateSchedule,
    Training,
)

__all__ = [
    "FROM_A_FILE",
    "IMAGENET",
    "Application",
    "Augmentation",
    "AutomaticRollback",
    "CanaryPolicy",
    "Data",
    "DataChecks",
    "EarlyStopping",
    "FineTuning",
    "GatePolicy",
    "Image",
    "Imported",
    "LearningRateSchedule",
    "ModelSpec",
    "Network",
    "Overrides",
    "OwnNetwork",
    "RetentionPolicy",
    "RunSpec",
    "SmallNetwork",
    "Training",
    "parse",
    "with_overrides",
]
