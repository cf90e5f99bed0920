"""Class folders: images in a folder with the name of their label, perhaps below a folder for each split."""

import logging
from collections.abc import Iterator

from pipeline.data.source import Entry, Record, Report
from pipeline.data.sources.class_folders import ClassFolders, find_class_folders, first_names
from pipeline.errors import BadInputError
from pipeline.problems import Problems
from pipeline.spec import Data
from pipeline.storage.system_files import Skipped
from pipeline.storage.tree import Tree
from pipeline.verdicts.measurements import Split

log = logging.getLogger(__name__)

SUFFIXES = (".png", ".jpg", ".jpeg", ".jpe", ".jfif", ".webp", ".bmp", ".dib", ".gif", ".tif", ".tiff")
_KNOWN = frozenset(SUFFIXES)


class FolderSource:
    """Images in class folders; see `pipeline.data.source.Source`.

    The first part of a name is the label, and images may be nested below it at any depth. With `data.splits: given` the
    first part is the split and the second one the label.

    Raises:
        BadInputError: `data` names columns, which folders do not have.
    """

    is_sharded = False

    def __init__(self, data: Data, tree: Tree) -> None:
        for field, names in {"data.slices": data.slices, "data.columns": data.columns}.items():
            if names:
                raise BadInputError(
                    f"{field}: {tree.address} is read as class folders, which have no columns; remove {field}, or set "
                    f"data.images to a manifest"
                )
        self._data = data
        self._tree = tree
        self._named: frozenset[Split] = frozenset()

    @property
    def address(self) -> str:
        return self._tree.address

    @property
    def named_splits(self) -> frozenset[Split]:
        return self._named

    def entries(self, report: Report) -> Iterator[Entry]:
        """As `Source.entries`, in the order of the names."""
        layout = find_class_folders(self._tree, is_given=self._data.splits == "given")
        self._named = frozenset(layout.splits.values())
        if not layout.labels:
            raise self._without_folders(layout)
        listing = _Listing(self._tree, layout, report)
        yield from listing.entries()
        if not listing.is_useful:
            raise BadInputError(
                f"data.images: {self.address} holds {len(layout.labels)} folders ({first_names(layout.labels)}) and no "
                f"images in them; add files that end with {', '.join(SUFFIXES)}"
            )

    def read(self, entry: Entry) -> bytes:
        return self._tree.read(entry.name, stamp=entry.stamp)

    def records(self, shard: Entry, report: Report) -> Iterator[Record]:  # noqa: ARG002 - no entry is a shard
        return iter(())

    def shown(self, name: str) -> str:
        return self._tree.shown(name)

    def _without_folders(self, layout: ClassFolders) -> BadInputError:
        problems = Problems()
        files = self._tree.files(lambda path, problem: problems.add(f"{path} {problem}"))
        images = sum(_is_image(found.name) for found in files)
        what = f"{self.address} holds {images} images and no folders of labels"
        if not images and problems:
            return BadInputError(f"data.images: {what}. {problems}")
        where = "a folder with the name of the label" + (", in the folder of its split" if layout.splits else "")
        above = self._above() if images and not layout.splits else ""
        other = f", or set data.images: {above}, if its folders are the labels" if above else ""
        return BadInputError(f"data.images: {what}; put the images of each label into {where}{other}")

    def _above(self) -> str:
        """The folder that holds the source; empty for a bucket and the top of a disk."""
        above, _, name = self.address.rpartition("/")
        return "" if above.endswith(":/") or not name else above


class _Listing:
    """One listing of class folders."""

    def __init__(self, tree: Tree, layout: ClassFolders, report: Report) -> None:
        self._tree = tree
        self._layout = layout
        self._report_to = report
        self._empty = dict(layout.labels)
        self._beside = Skipped("files beside the folders of the labels")
        # Whether there was an image, or a problem that says why there was none.
        self.is_useful = False

    def entries(self) -> Iterator[Entry]:
        """Each image. The loop runs once for each file of a data set, so it calls little."""
        # The folder of the label that the listing is in; no file has an empty name.
        folder, label, split = "", "", None
        for name, size, stamp in self._tree.files(self._report):
            if not (folder and name.startswith(folder)):
                folder, label, split = self._place(name)
                if not folder:
                    self._take_misplaced(name)
                    continue
            if name[name.rfind(".") :].lower() in _KNOWN:
                self.is_useful = True
                yield Entry(name, size, stamp, label, split)
            else:
                self._report(self._tree.shown(name), f"is not one of {', '.join(SUFFIXES)}; convert it or remove it")
        self._say()

    def _place(self, name: str) -> tuple[str, str, Split | None]:
        """The folder of a file's label, with a slash at its end, the label and the split; no folder: it has none."""
        parts = name.split("/")
        depth = 2 if self._layout.splits else 1
        if len(parts) <= depth or not parts[depth - 1]:
            return "", "", None
        folder = "/".join(parts[:depth])
        self._empty.pop(folder, None)
        return f"{folder}/", parts[depth - 1], self._layout.splits.get(parts[0])

    def _take_misplaced(self, name: str) -> None:
        """A file outside the label folders. Only an image is a problem: people keep a README there."""
        if _is_image(name):
            self._report(self._tree.shown(name), "is in no folder of a label; move it into one")
        else:
            self._beside.add(name)

    def _report(self, path: str, problem: str) -> None:
        self.is_useful = True
        self._report_to(path, problem)

    def _say(self) -> None:
        self._beside.say(self._tree.address)
        for folder, label in self._empty.items():
            log.warning(
                "%s holds no image, so nothing is learned about the label %r. Add images or remove the folder",
                self._tree.shown(folder),
                label,
            )


def _is_image(name: str) -> bool:
    return name[name.rfind(".") :].lower() in _KNOWN
