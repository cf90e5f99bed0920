"""`check`: everything that is wrong with a model file and its images, before anything is done with them."""

import io
import re
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from pipeline.data.snapshot.importing import import_images
from pipeline.errors import BadInputError
from pipeline.model_files import load_spec
from pipeline.storage.local import LocalBucket
from pipeline.verbs.check import check, check_data
from tests.pipeline.test_cli import pipeline

NETWORK = "network: {filters: [16, 32, 64], dense: 64}"
KERAS = "tensorflow/keras-applications/resnet/resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
README = (Path(__file__).parents[3] / "README.md").read_text(encoding="utf-8")


def picture(shade: int) -> bytes:
    """Neither blank nor tiny, and like no other one."""
    stream = io.BytesIO()
    image = Image.new("L", (8, 8), 255 - shade)
    image.paste(shade, (0, 0, 4, 8))
    image.save(stream, format="PNG")
    return stream.getvalue()


@pytest.fixture
def pets(tmp_path: Path) -> Path:
    """The model file of the README, over 80 images."""
    for label, shades in {"cat": range(40), "dog": range(100, 140)}.items():
        (tmp_path / "images" / label).mkdir(parents=True)
        for shade in shades:
            (tmp_path / "images" / label / f"{shade}.png").write_bytes(picture(shade))
    (example,) = re.findall(r"```yaml\n(.*?)```", README, re.DOTALL)
    path = tmp_path / "pets.yaml"
    # Where each test looks for the network of the example.
    example = re.sub(r"network: \{.*\}", NETWORK, example.replace("name: pets_offline", "name: pets"))
    path.write_text(example.replace("/data/pets ", f"{tmp_path}/images "))
    return path


def test_a_good_model_is_described(pets: Path) -> None:
    assert check(pets).startswith("80 images of 2 labels: ")


def test_a_weight_for_a_label_that_no_image_shows_is_a_problem(pets: Path) -> None:
    pets.write_text(pets.read_text().replace(NETWORK, "class_weights: {dog: 2, bird: 3}"))

    with pytest.raises(BadInputError) as raised:
        check(pets)
    assert (
        f"{pets}: training.class_weights names 'bird', which no image shows. The labels are 'cat', 'dog'; correct the "
        "model file"
    ) in str(raised.value)


def test_weights_that_have_to_be_downloaded_are_no_problem_and_said(pets: Path, tmp_path: Path) -> None:
    pets.write_text(pets.read_text().replace(NETWORK, "network: {name: resnet50, weights: imagenet}"))
    cache = tmp_path / "cache"
    environment = {"UNDERSTUDY_MODELS": str(tmp_path), "UNDERSTUDY_MODEL": "pets", "UNDERSTUDY_CACHE": str(cache)}
    target = cache / "weights" / "resnet50_weights_tf_dim_ordering_tf_kernels_notop.h5"
    absent = pipeline(tmp_path, "check", **environment)
    target.parent.mkdir(parents=True)
    target.write_bytes(b"not looked into")

    assert 0 == absent.returncode, absent.stderr
    assert "no problems found. 80 images of 2 labels: " in absent.stdout
    assert f". The training begins with the download of https://storage.googleapis.com/{KERAS}" in absent.stdout
    assert f". Where it runs without a network, copy that file to {target} before" in absent.stdout
    assert "download" not in check(pets, cache=cache)


def test_every_problem_of_the_file_and_of_the_images_is_named(pets: Path) -> None:
    pets.write_text(pets.read_text().replace("epochs: 40", "epochs: 0\n  momentum: 1"))
    images = pets.parent / "images"
    (images / "cat" / "short.png").write_bytes(picture(200)[:-3])
    (images / "dog" / "notes.txt").write_text("any")
    (images / "rat").mkdir()
    (images / "rat" / "only.png").write_bytes(picture(250))

    with pytest.raises(BadInputError) as raised:
        check(pets)
    message = str(raised.value)
    assert "5 problems:" == message.splitlines()[0]
    assert re.search(r"pets\.yaml: line [0-9]+: training\.epochs: .*\(got 0\)", message)
    assert re.search(r"pets\.yaml: line [0-9]+: training\.momentum: ", message)
    assert f"{images}/cat/short.png is cut off" in message
    assert f"{images}/dog/notes.txt is not one of .png" in message
    assert "label 'rat' has no image in the" in message


@pytest.mark.parametrize(
    ("network", "problem"),
    [
        (
            "{name: resnet50, weights: /no/file.h5}",
            "training.network.weights: /no/file.h5 cannot be read: No ",
        ),
        ("{function: no_module:build}", "training.network.function: there is no module no_module. Put its file into "),
    ],
)
def test_a_network_that_cannot_be_trained_is_named_with_the_problems_of_the_images(
    pets: Path, network: str, problem: str
) -> None:
    pets.write_text(pets.read_text().replace(NETWORK, f"network: {network}"))
    (pets.parent / "images" / "cat" / "short.png").write_bytes(picture(200)[:-3])

    with pytest.raises(BadInputError) as raised:
        check(pets)
    message = str(raised.value)
    assert "2 problems:" == message.splitlines()[0]
    assert f"{pets}: {problem}" in message
    assert "short.png is cut off" in message


def test_wrong_fields_of_the_images_are_named_and_the_images_are_not_looked_at(pets: Path) -> None:
    pets.write_text(pets.read_text().replace("channels: 3", "channels: 2"))

    with pytest.raises(BadInputError, match=r"image\.channels: give 1 for grey images or 3 .* \(got 2\)") as raised:
        check(pets)
    assert "the images were not checked" in str(raised.value)


@pytest.mark.parametrize("content", ["name: [", "just a text", ""])
def test_a_file_that_is_no_model_is_refused_in_words(pets: Path, content: str) -> None:
    pets.write_text(content)

    with pytest.raises(BadInputError, match=r"pets\.yaml"):
        check(pets)


def test_check_and_snapshot_name_the_same_problems(pets: Path, tmp_path: Path) -> None:
    (tmp_path / "images" / "cat" / "short.png").write_bytes(picture(200)[:-3])
    (tmp_path / "images" / "dog" / "cat.png").write_bytes(picture(3))
    (tmp_path / "bucket").mkdir()

    with pytest.raises(BadInputError) as checked:
        check(pets)
    with pytest.raises(BadInputError) as imported:
        import_images(LocalBucket(tmp_path / "bucket"), load_spec(pets), at=datetime.now(UTC))
    limit = "unusable files 3 of 82 > 0% (data.checks.unusable)"
    assert f"data.images: {checked.value}\n  {limit}" == str(imported.value)


def test_the_command_needs_no_bucket_and_makes_none(pets: Path, tmp_path: Path) -> None:
    nowhere = str(tmp_path / "no bucket")
    environment = {"UNDERSTUDY_MODELS": str(tmp_path), "UNDERSTUDY_MODEL": "pets", "UNDERSTUDY_ROOT": nowhere}
    good = pipeline(tmp_path, "check", **environment)
    (tmp_path / "images" / "cat" / "short.png").write_bytes(picture(200)[:-3])
    bad = pipeline(tmp_path, "check", **environment)

    assert (0, 1) == (good.returncode, bad.returncode)
    assert "no problems found. 80 images of 2 labels" in good.stdout
    assert f"{tmp_path}/images/cat/short.png is cut off" in bad.stderr
    assert "Traceback" not in bad.stderr
    assert not Path(nowhere).exists()


def test_a_model_that_is_imported_is_looked_at_without_loading_it(pets: Path, tmp_path: Path) -> None:
    (tmp_path / "pets.keras").write_bytes(b"not looked into")
    text = re.sub(r"^training:\n(  .*\n)*", "", pets.read_text(), flags=re.MULTILINE)
    pets.write_text(f"{text}\nimport:\n  model: {tmp_path}/pets.keras\n  labels: [dog, rat]\n")

    with pytest.raises(BadInputError) as raised:
        check(pets)
    message = str(raised.value)
    assert "2 problems:" == message.splitlines()[0]
    assert f"{pets}: import.sha256 is missing" in message
    assert f"{pets}: import.labels: the images have 'cat', which it does not name; it names 'rat'" in message


def test_a_source_that_cannot_be_used_is_named_with_the_model_file(pets: Path) -> None:
    (pets.parent / "images").rename(pets.parent / "moved")
    message = f"^{pets}: data.images: the folder {pets.parent}/images does not exist; correct the path$"

    with pytest.raises(BadInputError, match=message):
        check(pets)
    with pytest.raises(BadInputError, match=message):
        check_data(pets, show=lambda _: None, folder=None)


class TestData:
    """`check --data`: the whole report, before any run."""

    @pytest.fixture
    def environment(self, pets: Path, tmp_path: Path) -> dict[str, str]:
        return {"UNDERSTUDY_MODELS": str(tmp_path), "UNDERSTUDY_MODEL": "pets", "UNDERSTUDY_ROOT": str(tmp_path / "no")}

    def test_shows_classes_and_the_verdict(self, environment: dict[str, str], tmp_path: Path) -> None:
        done = pipeline(tmp_path, "check", "--data", **environment)

        assert 0 == done.returncode, done.stderr
        assert re.search(r"cat +\D+40 \D+[0-9]+ \D+[0-9]+", done.stdout)
        assert "Passed\n  unusable files 0 of 80 (0%) <= 0%" in done.stdout
        assert "no problems found. 80 images of 2 labels" in done.stdout
        assert not (tmp_path / "no").exists()

    def test_writes_the_report_of_images_that_are_refused(self, environment: dict[str, str], tmp_path: Path) -> None:
        broken = tmp_path / "images" / "cat" / "short.png"
        broken.write_bytes(picture(200)[:-3])
        done = pipeline(tmp_path, "check", "--report", str(tmp_path / "report"), **environment)

        assert 1 == done.returncode
        assert str(broken) in done.stdout
        assert "Refused\n  unusable files 1 of 81 (1.2%) > 0% (data.checks.unusable)" in done.stdout
        assert "a snapshot would refuse these images. Correct them, or the limits in `data.checks`; the report is " in (
            done.stderr
        )
        assert str(broken) in (tmp_path / "report" / "problems.csv").read_text()
        assert "Refused" in (tmp_path / "report" / "index.html").read_text()
        assert "Traceback" not in done.stderr

    def test_says_which_label_cannot_be_learned(self, pets: Path, environment: dict[str, str], tmp_path: Path) -> None:
        (tmp_path / "images" / "rat").mkdir()
        (tmp_path / "images" / "rat" / "only.png").write_bytes(picture(250))
        shown: list[Any] = []

        with pytest.raises(BadInputError, match="a snapshot would refuse these images"):
            check_data(pets, show=shown.append, folder=tmp_path / "report")
        assert "label &#x27;rat&#x27; has no image in the " in (tmp_path / "report" / "index.html").read_text()

    def test_a_folder_that_cannot_be_written_is_named(self, pets: Path, tmp_path: Path) -> None:
        (tmp_path / "a file").write_text("")

        with pytest.raises(BadInputError, match=r"the report cannot be written to .*/a file/x: Not a directory"):
            check_data(pets, show=lambda _: None, folder=tmp_path / "a file" / "x")

    def test_a_file_is_refused_before_any_image_is_read(self, pets: Path, tmp_path: Path) -> None:
        (tmp_path / "a file").write_text("")
        (tmp_path / "images").rename(tmp_path / "moved")

        with pytest.raises(
            BadInputError, match=r"the report cannot be written to .*/a file: it is a file; name a fold"
        ):
            check_data(pets, show=lambda _: None, folder=tmp_path / "a file")

    def test_a_limit_of_the_model_file_is_a_problem_without_the_report_too(self, pets: Path) -> None:
        pets.write_text(pets.read_text().replace("data:\n", "data:\n  checks: {class_images: 50}\n"))

        with pytest.raises(BadInputError, match=r"2 labels have fewer than 50 images: .*class_images\)"):
            check(pets)
