"""Copy TensorFlow Serving's messages, and nothing else of TensorFlow: `copy_messages.py APIS PACKAGES TARGET`.

APIS is serving/apis.py, which imports the messages; PACKAGES is where TensorFlow is installed; TARGET is where they are
copied to. The Dockerfile of the gateway calls it while it builds. TensorFlow is 1.5 GB, and its messages 1 MB.
"""

import ast
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

# Their own `__init__.py` is not copied: it would load the library, and `serving.apis` does without it.
_PARENT = "tensorflow"
_ROOTS = (_PARENT, "tensorflow_serving")


def main(apis: Path, packages: Path, target: Path) -> None:
    """Copy what `apis` imports, what that imports, and the `__init__.py` of the folders around it."""
    found: set[Path] = set()
    waiting = [apis]
    while waiting:
        new = set(_imported(waiting.pop(), packages)) - found
        found |= new
        waiting += new
    for module in sorted(found):
        for path in (module, *_initializers(module, packages)):
            copy = target / path.relative_to(packages)
            copy.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(path, copy)


def _imported(file: Path, packages: Path) -> Iterator[Path]:
    """The modules of TensorFlow that a file imports.

    Raises:
        FileNotFoundError: one does not exist; copying less would end in an image that does not start.
    """
    for node in ast.walk(ast.parse(file.read_bytes())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] in _ROOTS:
            for alias in node.names:
                # `from MODULE import *` is how the messages pass on those of another module.
                name = str(node.module) if alias.name == "*" else f"{node.module}.{alias.name}"
                module = packages.joinpath(*name.split(".")).with_suffix(".py")
                if not module.is_file():
                    raise FileNotFoundError(f"{file} imports {name}, and {module} does not exist")
                yield module


def _initializers(module: Path, packages: Path) -> Iterator[Path]:
    for folder in module.relative_to(packages).parents:
        if folder not in (Path(), Path(_PARENT)):
            yield packages / folder / "__init__.py"


if __name__ == "__main__":
    if len(sys.argv) != 4:
        sys.exit("copy_messages.py needs three paths: serving/apis.py, the folder of the packages, and the target")
    main(*map(Path, sys.argv[1:]))
