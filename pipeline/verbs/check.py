"""Look at a model file and its images before anything is done with them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from pipeline.clock import SystemClock
from pipeline.data.snapshot.examined import Examined, add_problems, summary
from pipeline.data.snapshot.importing import examined
from pipeline.errors import BadInputError
from pipeline.model_files import WrongFieldsError, load_data, load_spec
from pipeline.problems import Problems
from pipeline.spec import Data, Image, ModelSpec, Training
from pipeline.training.exporting import import_checks
from pipeline.training.inputs.class_weights import label_problem
from pipeline.training.networks.checking import download_notice
from pipeline.training.networks.checking import problems as network_problems
from pipeline.verdicts.data_checks import judge_data
from pipeline.verdicts.measurements import DataSummary
from pipeline.verdicts.verdict import Decision

if TYPE_CHECKING:
    from rich.console import RenderableType


def check(path: Path, *, cache: Path | None = None) -> str:
    """Find everything that would stop `snapshot`, by the code that `snapshot` uses; what there is, in a sentence.

    Every image is decoded, also those that the bucket has already. No bucket is read, and nothing is changed. So what
    a snapshot compares with, the snapshot before and the serving version, is not known here.

    Args:
        path: the model file.
        cache: where a training on this machine keeps pretrained weights; None: not said, and not looked at.

    Raises:
        BadInputError: names every wrong field of the file and every image that cannot be used, up to a limit.
    """
    problems = Problems()
    spec = None
    try:
        spec = load_spec(path)
        for problem in network_problems(spec.training) if spec.training else ():
            problems.add(f"{path}: {problem}")
    except WrongFieldsError as error:
        for field in error.fields:
            problems.add(f"{path}: {field}")
    except BadInputError as error:
        problems.add(str(error))
    data = _examine(path, problems)
    for problem in _problems_with_labels(spec, data) if spec else ():
        problems.add(f"{path}: {problem}")
    if problems or data is None:
        raise BadInputError(str(problems))
    notice = download_notice(spec.training.network, cache) if cache and spec and spec.training else None
    return ". ".join([summary(data), *([notice] if notice else [])])


def _problems_with_labels(spec: ModelSpec, data: DataSummary | None) -> list[str]:
    if spec.imported is not None:
        return import_checks.problems(spec.imported, labels=data.counts if data else None)
    problem = label_problem(spec.training.class_weights, data.counts) if spec.training and data else None
    return [problem] if problem else []


def check_data(path: Path, *, show: "Callable[[RenderableType], None]", folder: Path | None) -> str:
    """Look at the images of a model file, and show the whole report about them; what there is, in a sentence.

    Args:
        path: the model file.
        show: called with the report.
        folder: where the page and its CSV files are written, also if the images are refused; None: nowhere.

    Raises:
        BadInputError: the model file or the source cannot be used, the images are refused, or the folder cannot be
            written.
    """
    # They take time to import, and `check` does not need them.
    from pipeline.data.report.data_report import PAGE, write_report  # noqa: PLC0415
    from pipeline.inspection.data_table import report_table  # noqa: PLC0415
    from pipeline.inspection.judged_data import judge, report_of  # noqa: PLC0415

    # Said before every image is read.
    if folder is not None and folder.exists() and not folder.is_dir():
        raise BadInputError(f"the report cannot be written to {folder}: it is a file; name a folder")
    spec = load_spec(path)
    with _examined(path, spec) as data:
        verdict = judge(data, spec.data.checks, None)
        if folder is not None:
            try:
                write_report(folder, report_of(data, verdict, None))
            except OSError as error:
                raise BadInputError(f"the report cannot be written to {folder}: {error.strerror}") from error
        show(report_table(report_of(data, verdict, None)))
        written = f"; the report is {folder / PAGE}" if folder is not None else ""
        if verdict.decision is not Decision.PASS:
            raise BadInputError(
                f"{path}: a snapshot would refuse these images. Correct them, or the limits in `data.checks`{written}"
            )
        return f"{summary(data.found)}{written}"


def _examine(path: Path, problems: Problems) -> DataSummary | None:
    """What the images are; None if they could not be looked at, which is one of the problems then."""
    try:
        loaded = load_data(path)
    except BadInputError:
        # Known already: the file cannot be read.
        return None
    if loaded is None:
        problems.add("the images were not checked, because the fields `data` and `image` cannot be used")
        return None
    data, channels = loaded
    try:
        with _examined(path, _spec_of_images(path.stem, data, channels)) as found:
            add_problems(found, data.checks, problems)
            # Unusable files are named one by one.
            checks = data.checks.model_copy(update={"unusable": 1.0})
            verdict = judge_data(found.found, None, checks, suspects=None)
            if verdict.decision is not Decision.PASS:
                for reason in verdict.reasons:
                    problems.add(reason)
            return found.found
    except BadInputError as error:
        problems.add(str(error))
        return None


@contextmanager
def _examined(path: Path, spec: ModelSpec) -> Iterator[Examined]:
    """As `examined`. If the source cannot be used, the error names the model file too."""
    with ExitStack() as stack:
        try:
            data = stack.enter_context(examined(spec, at=SystemClock().now()))
        except BadInputError as error:
            raise BadInputError(f"{path}: {error}") from error
        yield data


def _spec_of_images(name: str, data: Data, channels: int) -> ModelSpec:
    """A model of which only the images are looked at: other fields of its file may be wrong."""
    image, training = Image(height=1, width=1, channels=channels), Training(epochs=1)
    # The name of the file may not be that of a model, which is another problem of it.
    return ModelSpec.model_construct(name=name, description="", owner="", data=data, image=image, training=training)
