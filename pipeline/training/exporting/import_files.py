"""The files of a model that was trained elsewhere: where they are, their digest, and a copy of them to load.

What is loaded is the copy whose digest was compared, so nothing can be replaced in between.
"""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from pipeline.errors import BadInputError
from pipeline.spec import Imported
from pipeline.storage.opening import open_tree
from pipeline.storage.sums import MARK, FileSum, Summing, folder_digest
from pipeline.storage.tree import Tree, UnreadableError

KERAS = ".keras"
SETTING = "import.model"
_PIECE = 1 << 20
_EXPECTED = (
    "name a `.keras` file, as `model.save` writes it, or the folder of a SavedModel, as `model.export` writes it"
)


class _Files(NamedTuple):
    tree: Tree
    names: list[str]


def is_keras(imported: Imported) -> bool:
    """Whether it is a `.keras` file; otherwise it is the folder of a SavedModel."""
    return imported.model.endswith(KERAS)


def digest_problem(imported: Imported, *, seconds: float) -> str | None:
    """What is wrong with `import.sha256`; None if it is that of the files. Every byte is read, and none is kept.

    Raises:
        BadInputError: there is no such model, or it cannot be read.
        StorageError: its storage gives no answer; calls are repeated for so many seconds.
    """
    return _digest_problem(imported, _digest(imported, seconds=seconds, target=None))


def local_model(imported: Imported, scratch: Path, *, seconds: float) -> Path:
    """A copy of the file or folder in an empty folder of this machine, with the digest that the model file names.

    Raises:
        BadInputError: there is no such model, it cannot be read, or it has another digest.
        StorageError: its storage gives no answer; calls are repeated for so many seconds.
    """
    target = scratch / (f"model{KERAS}" if is_keras(imported) else "model")
    problem = _digest_problem(imported, _digest(imported, seconds=seconds, target=target))
    if problem:
        raise BadInputError(problem)
    return target


def _digest_problem(imported: Imported, found: str) -> str | None:
    if imported.sha256 == found:
        return None
    if imported.sha256 is None:
        return (
            f"import.sha256 is missing, so nothing says which file {imported.model} should be. If it is the right "
            f"one, write `sha256: {found}`"
        )
    return (
        f"import.sha256: {imported.model} has {found}, not {imported.sha256}. If it was replaced on purpose, write "
        f"`sha256: {found}`"
    )


def _digest(imported: Imported, *, seconds: float, target: Path | None) -> str:
    """The digest of the model, which is copied to `target` if there is one."""
    tree, names = _keras_file(imported, seconds) if is_keras(imported) else _saved_model(imported, seconds)
    sums = {}
    for name in names:
        path = target if target is None or is_keras(imported) else target / name
        try:
            sums[name] = _read(tree, name, path)
        except UnreadableError as error:
            raise BadInputError(f"{SETTING}: {tree.shown(name)} {error}; {_EXPECTED}") from error
    return sums[names[0]].sha256 if is_keras(imported) else folder_digest(sums)


def _read(tree: Tree, name: str, target: Path | None) -> FileSum:
    summing = Summing()
    with ExitStack() as stack:
        stream = stack.enter_context(tree.open(name))
        copy = None
        if target is not None:
            target.parent.mkdir(parents=True, exist_ok=True)
            copy = stack.enter_context(target.open("xb"))
        while piece := stream.read(_PIECE):
            summing.write(piece)
            if copy:
                copy.write(piece)
    return summing.result()


def _keras_file(imported: Imported, seconds: float) -> _Files:
    folder, _, name = imported.model.rpartition("/")
    # Of a file in `/` or in the working directory.
    folder = folder or ("/" if imported.model.startswith("/") else ".")
    return _Files(open_tree(folder, seconds=seconds, setting=SETTING), [name])


def _saved_model(imported: Imported, seconds: float) -> _Files:
    if "://" not in imported.model and os.path.isfile(os.path.expanduser(imported.model)):  # noqa: PTH111, PTH113 - as `open_tree`
        raise BadInputError(f"{SETTING}: {imported.model} is a file; {_EXPECTED}")
    tree = open_tree(imported.model, seconds=seconds, setting=SETTING)
    names = list(_names(tree))
    if MARK not in names:
        raise BadInputError(f"{SETTING}: {tree.address} has no {MARK}; {_EXPECTED}")
    return _Files(tree, names)


def _names(tree: Tree) -> Iterator[str]:
    problems: list[str] = []
    for found in tree.files(lambda path, problem: problems.append(f"{path} {problem}")):
        yield found.name
    if problems:
        raise BadInputError(f"{SETTING}: {'; '.join(problems)}")
