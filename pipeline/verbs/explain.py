"""Show which pixels the answers of a published version rest on."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from pipeline.context import ModelContext
from pipeline.errors import BadInputError
from pipeline.first_few import first_few
from pipeline.inspection.explained_images import ExplainedImage, ExplainedImages
from pipeline.inspection.known_models import require_released
from pipeline.inspection.published_version import approved_files, published_version
from pipeline.problems import Problems
from pipeline.progress import logged
from pipeline.training.explaining.exported import DifferentiableModel
from pipeline.training.explaining.files import named_images, write
from pipeline.training.explaining.integrated_gradients import explain as explain_pixels
from pipeline.training.explaining.overlays import Label, draw_overlay
from serving.images import ImageError, prepare


@dataclass(frozen=True)
class _Version:
    """A version in memory, and its labels in the order of their indices."""

    number: int
    title: str
    labels: Sequence[str]
    model: DifferentiableModel


def explain(
    context: ModelContext, images: Sequence[Path], *, version: str, label: str | None, output: Path
) -> ExplainedImages:
    """Write a picture for each image. An image that cannot be used does not stop the others.

    The files of the version are compared with what was approved. Nothing in the bucket is changed, and no replica is
    asked.

    Args:
        context: the model.
        images: files, and folders with all that is below them; of any format that clients may prepare.
        version: a number, 4 or v4, or `serving`.
        label: which class the pictures are about; None: the answer to each image.
        output: the folder for the pictures `NAME-vVERSION.png`. It is created if it does not exist. An earlier picture
            of this verb is replaced; any other file stays, and is a problem.

    Raises:
        BadInputError: there is no such model, version, label or image; `output` is a file; or the version is from
            before it could be explained.
        DamagedError: a file of the version is not what was approved.
        MissingError: its files are not there, because it is retired.
    """
    if output.exists() and not output.is_dir():
        raise BadInputError(f"--output {output} is a file; name a folder")
    history = context.journal.read()
    require_released(context, history)
    number = published_version(version, history)
    labels = context.manifests.labels(number, history)
    about = _class_of(label, labels, number)
    named = list(named_images(images))
    if not named:
        raise BadInputError(f"no image in {', '.join(map(str, images))}: name image files, or a folder that has some")
    with approved_files(context, number, history) as local:
        model = DifferentiableModel(local, name=f"v{number}")
    loaded = _Version(number, f"{context.model} v{number}", labels, model)
    problems, found = Problems(), []
    for path, name in logged(named, "images explained", total=len(named)):
        suffix = "" if about is None else f"-class{about}"
        file = output / f"{name}-v{number}{suffix}.png"
        try:
            found.append(_explained(loaded, path, about=about, file=file))
        except ImageError as error:
            problems.add(f"{path} {error}")
        except ValueError as error:
            raise BadInputError(f"v{number} cannot be explained: {error}") from error
        except FileExistsError:
            problems.add(f"{file} exists and is not of this command; remove it, or choose another folder with --output")
        except OSError as error:
            problems.add(f"{error.filename or path}: {error.strerror or error}")
    return ExplainedImages(number, found, str(problems) if problems else "")


def _class_of(label: str | None, labels: Sequence[str], version: int) -> int | None:
    if label is None:
        return None
    if label not in labels:
        raise BadInputError(
            f"--class {label!r} is not a label of v{version}; its labels are: {first_few(labels, 20, shown=repr)}"
        )
    return labels.index(label)


def _explained(version: _Version, path: Path, *, about: int | None, file: Path) -> ExplainedImage:
    pixels = version.model.pixels(prepare(path.read_bytes()).content)
    probabilities = version.model.probabilities(pixels)
    answer = int(probabilities.argmax())
    chosen = answer if about is None else about
    explained = explain_pixels(version.model, pixels, chosen)
    labels = version.labels
    picture = draw_overlay(
        pixels,
        explained,
        title=f"{path.name}, {version.title}",
        answer=Label(answer, labels[answer]),
        probability=float(probabilities[answer]),
        about=Label(chosen, labels[chosen]),
    )
    return ExplainedImage(
        image=path,
        answer=labels[answer],
        probability=float(probabilities[answer]),
        about=labels[chosen],
        gap=explained.gap,
        is_complete=explained.is_complete,
        file=file,
        replaced=write(file, picture),
    )
