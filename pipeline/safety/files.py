"""The folder of a SavedModel: its description read as data, and no file of it lying elsewhere."""

import os
from pathlib import Path, PurePosixPath
from typing import Any

from google.protobuf.message import DecodeError

from pipeline.errors import FailedError
from pipeline.safety.quoting import quoted, some
from serving.apis import saved_model_pb2

DESCRIPTION = "saved_model.pb"


def read(folder: Path) -> Any:
    """The SavedModel message; raises FailedError where there is none."""
    path = folder / DESCRIPTION
    try:
        return saved_model_pb2.SavedModel.FromString(path.read_bytes())
    except OSError as error:
        raise FailedError(
            f"{path} cannot be read ({error.strerror}), so there is no SavedModel; train again"
        ) from error
    except DecodeError as error:
        raise FailedError(f"{path} is not a SavedModel: {error}; train again") from error


def problems(folder: Path, saved_model: Any) -> list[str]:
    """A server reads what the description names, and follows links: both must stay in the folder."""
    links = sorted(_links(folder))
    found = [f"links lead out of what was scanned: {some(links)}"] if links else []
    for meta_graph in saved_model.meta_graphs:
        found.extend(_asset_problem(folder, asset.filename) for asset in meta_graph.asset_file_def)
    return [problem for problem in dict.fromkeys(found) if problem]


def _links(folder: Path) -> list[str]:
    return [
        quoted(str((Path(root) / name).relative_to(folder)))
        for root, folders, names in os.walk(folder)
        for name in (*folders, *names)
        if (Path(root) / name).is_symlink()
    ]


def _asset_problem(folder: Path, name: str) -> str:
    path = PurePosixPath(name)
    if path.is_absolute() or ".." in path.parts or "\0" in name:
        return f"asset {quoted(name)} has a path outside the model folder"
    return "" if (folder / "assets" / path).is_file() else f"asset {quoted(name)} is missing"
