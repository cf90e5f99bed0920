"""What is wrong with `import:` in a model file, found without loading the model."""

from collections.abc import Collection, Sequence

from pipeline.errors import BadInputError, StorageError
from pipeline.first_few import first_few
from pipeline.spec import Imported
from pipeline.training.exporting.import_files import digest_problem

_SHOWN = 10


def problems(imported: Imported, *, labels: Collection[str] | None = None, seconds: float = 30.0) -> list[str]:
    """What would stop a run of this import, as sentences; empty if nothing is found.

    Args:
        imported: the part of the model file.
        labels: of the images; None if they are not known.
        seconds: for how long a call to a store that failed with a transient error is retried.
    """
    try:
        found = digest_problem(imported, seconds=seconds)
    except (BadInputError, StorageError) as error:
        found = str(error)
    wrong_labels = label_problem(imported.labels, labels) if labels is not None else None
    return [each for each in (found, wrong_labels) if each]


def label_problem(given: Sequence[str], wanted: Collection[str]) -> str | None:
    """Where the labels of an imported model are not those of the images; None if they are, in whatever order."""
    missing, unknown = sorted(set(wanted) - set(given)), sorted(set(given) - set(wanted))
    found = [
        *([f"the images have {first_few(missing, _SHOWN, shown=repr)}, which it does not name"] if missing else []),
        *([f"it names {first_few(unknown, _SHOWN, shown=repr)}, which the images do not have"] if unknown else []),
    ]
    if not found:
        return None
    return (
        f"import.labels: {'; '.join(found)}. Name the labels of the images, in the order of the network's outputs, or "
        f"change the images"
    )
