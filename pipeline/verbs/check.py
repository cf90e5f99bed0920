"""Look at a model file and its images before anything is done with them."""

from pathlib import Path

from pipeline.data.images import examine, summary
from pipeline.errors import BadInputError
from pipeline.model_files import WrongFieldsError, load_data, load_spec
from pipeline.problems import Problems


def check(path: Path) -> str:
    """Find everything that would stop `snapshot`, by the code that `snapshot` uses; what there is, in a sentence.

    Every image is decoded, also those that the bucket has already. No bucket is read, and nothing is changed.

    Args:
        path: the model file.

    Raises:
        BadInputError: names every wrong field of the file and every image that cannot be used, up to a limit.
    """
    problems = Problems()
    try:
        load_spec(path)
    except WrongFieldsError as error:
        for field in error.fields:
            problems.add(f"{path}: {field}")
    except BadInputError as error:
        problems.add(str(error))
    found = _examine(path, problems)
    if problems:
        raise BadInputError(str(problems))
    return found


def _examine(path: Path, problems: Problems) -> str:
    try:
        loaded = load_data(path)
    except BadInputError:
        # Known already: the file cannot be read.
        return ""
    if loaded is None:
        problems.add("the images were not checked, because the fields `data` and `image` cannot be used")
        return ""
    data, channels = loaded
    try:
        return summary(examine(data, channels=channels, problems=problems))
    except BadInputError as error:
        problems.add(str(error))
        return ""
