"""`new_images` of a model file: what is wrong is named with its line, its value and the way out."""

import re
from pathlib import Path

import pytest

from pipeline.errors import BadInputError
from pipeline.model_files import load_spec

MODEL = (Path(__file__).parents[2] / "models" / "digits.yaml").read_text(encoding="utf-8")
PUBSUB = "{project: my-project, subscription: digits-images}"


def load(folder: Path, new_images: str) -> object:
    path = folder / "digits.yaml"
    path.write_text(f"new_images: {new_images}\n{MODEL}", encoding="utf-8")
    return load_spec(path).new_images


@pytest.mark.parametrize(
    "new_images",
    [
        f"{{pubsub: {PUBSUB}}}",
        "{upload: {bucket: my-images}}",
        f"{{pubsub: {PUBSUB}, upload: {{bucket: my-images, prefix: digits/, inactivity_minutes: 0.5}}, connection: a}}",
    ],
)
def test_a_subscription_an_upload_or_both(tmp_path: Path, new_images: str) -> None:
    assert load(tmp_path, new_images) is not None


@pytest.mark.parametrize(
    ("new_images", "message"),
    [
        ("{}", "new_images: give `pubsub`, which starts a run for a message, or `upload`, for whose end runs wait"),
        (
            "{pubsub: {project: my-project, subscription: projects/my-project/subscriptions/digits-images}}",
            "new_images.pubsub.subscription: give the short name, 'digits-images', and the project in `project`",
        ),
        ("{pubsub: {project: My Project, subscription: digits-images}}", "new_images.pubsub.project: String should"),
        ("{upload: {bucket: gs://my-images}}", "new_images.upload.bucket: String should match"),
        (
            "{upload: {bucket: my-images, prefix: gs://my-images/digits/}}",
            "new_images.upload.prefix: give the beginning of the objects' names, without the bucket",
        ),
        ("{upload: {bucket: my-images, inactivity_minutes: 0}}", "new_images.upload.inactivity_minutes: Input should"),
        ("{upload: {bucket: my-images, quiet: 3}}", "new_images.upload.quiet: "),
    ],
)
def test_what_cannot_be_used_is_named(tmp_path: Path, new_images: str, message: str) -> None:
    with pytest.raises(BadInputError, match=f"line 1: {re.escape(message)}"):
        load(tmp_path, new_images)
