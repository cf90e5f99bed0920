"""Files below a folder of this machine: links, names, times, and what a disk does to a listing."""

import errno
import os
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from pipeline.errors import BadInputError, StorageError
from pipeline.storage.local_paths import file_errors
from pipeline.storage.opening import open_tree
from pipeline.storage.tree import Found, Tree, UnreadableError

NOBODY = 65534
MINUTE_AGO = time.time() - 60


@pytest.fixture
def root(tmp_path: Path) -> Path:
    made = tmp_path / "root"
    write(made / "cat" / "1.png")
    return made


@pytest.fixture
def nobodys() -> Iterator[Path]:
    """A folder of a user whom permissions stop: root may read everything."""
    is_root = os.geteuid() == 0
    with tempfile.TemporaryDirectory() as made:
        if is_root:
            os.chown(made, NOBODY, NOBODY)
            os.seteuid(NOBODY)
        yield Path(made)
        if is_root:
            os.seteuid(0)


def ignored(_path: str, _problem: str) -> None:
    pass


def write(path: Path, content: bytes = b"any", *, changed: float = MINUTE_AGO) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    os.utime(path, (changed, changed))
    return path


def tree(root: Path) -> Tree:
    return open_tree(str(root), seconds=1)


def listing(root: Path) -> tuple[list[str], dict[str, str]]:
    """The names below the root, and what is reported, by the path."""
    problems: dict[str, str] = {}
    names = [found.name for found in tree(root).files(lambda path, problem: problems.update({path: problem}))]
    return names, problems


def only(root: Path) -> Found:
    (found,) = tree(root).files(lambda path, problem: pytest.fail(f"{path} {problem}"))
    assert tree(root).find(found.name) == found
    return found


def test_the_stamp_is_the_time_of_the_last_change_in_nanoseconds(root: Path) -> None:
    os.utime(root / "cat" / "1.png", ns=(0, 1_234_567_890_123_456_789))

    assert Found("cat/1.png", 3, "1234567890123456789") == only(root)


@pytest.mark.parametrize("seconds", [0, 1.5, -3600])
def test_a_file_that_changed_just_now_has_no_stamp_because_it_may_change_again(root: Path, seconds: float) -> None:
    write(root / "cat" / "1.png", changed=time.time() - seconds)

    assert "" == only(root).stamp


def test_a_link_is_followed_inside_the_root(root: Path) -> None:
    write(root / "all" / "deep" / "2.png", b"two")
    (root / "cat" / "file.png").symlink_to("../all/deep/2.png")
    (root / "dog").symlink_to("all/deep")

    assert (["all/deep/2.png", "cat/1.png", "cat/file.png", "dog/2.png"], {}) == listing(root)
    assert ["all", "cat", "dog"] == tree(root).folders()
    assert b"two" == tree(root).read("cat/file.png")
    assert b"two" == tree(root).read("dog/2.png")


def test_a_link_to_a_folder_may_be_at_any_depth(root: Path) -> None:
    (root / "train").mkdir()
    (root / "train" / "cat").symlink_to(root / "cat")

    assert (["cat/1.png", "train/cat/1.png"], {}) == listing(root)
    assert ["cat"] == tree(root).folders("train")


def test_a_root_that_is_a_link_is_listed(root: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(root)

    assert (["cat/1.png"], {}) == listing(tmp_path / "link")
    assert f"{tmp_path}/link/cat/1.png" == tree(tmp_path / "link").shown("cat/1.png")


def test_a_link_that_leads_out_of_the_root_is_reported_and_not_read(root: Path, tmp_path: Path) -> None:
    secret = write(tmp_path / "root of others" / "secret.png")
    (root / "cat" / "file.png").symlink_to(secret)
    (root / "dog").symlink_to(secret.parent)

    names, problems = listing(root)

    assert ["cat/1.png"] == names
    assert {f"{root}/cat/file.png", f"{root}/dog"} == set(problems)
    assert f"is a link to {secret}, outside {root}; copy that" in problems[f"{root}/cat/file.png"]
    assert ["cat"] == tree(root).folders()
    for name in (
        "cat/file.png",
        "dog/secret.png",
        "../root of others/secret.png",
        "cat/../../root of others/secret.png",
    ):
        for used in (tree(root).find, tree(root).read, tree(root).open):
            with pytest.raises(UnreadableError, match=f"^is outside {root}"):
                used(name)


def test_a_broken_link_is_reported(root: Path) -> None:
    (root / "cat" / "gone.png").symlink_to("../all/1.png")

    names, problems = listing(root)

    assert ["cat/1.png"] == names
    assert "which does not exist; restore that" in problems[f"{root}/cat/gone.png"]


def test_loops_of_links_end_and_are_reported(root: Path) -> None:
    (root / "cat" / "up").symlink_to("..")
    (root / "cat" / "me").symlink_to("me")
    write(root / "dog" / "2.png")
    (root / "dog" / "to cat").symlink_to("../cat")
    (root / "cat" / "to dog").symlink_to("../dog")

    names, problems = listing(root)

    assert ["cat/1.png", "cat/to dog/2.png", "dog/2.png", "dog/to cat/1.png"] == names
    assert "is a link to a folder that contains it; remove it" == problems[f"{root}/cat/up"]
    assert "is a link to a folder that contains it; remove it" == problems[f"{root}/cat/to dog/to cat"]
    assert "Too many levels of symbolic links" in problems[f"{root}/cat/me"]


def test_many_folders_that_link_to_one_another_are_listed_in_a_moment(root: Path) -> None:
    labels = [f"label {number:02}" for number in range(12)]
    for label in labels:
        write(root / label / "1.png")
        for other in labels:
            if other != label:
                (root / label / other).symlink_to(root / other)

    names, problems = listing(root)

    assert 1 + 12 * 12 == len(names)
    assert "in a folder that was reached by a link" in problems[f"{root}/label 00/label 01/label 02"]


def test_a_name_that_is_not_utf_8_is_reported_in_printable_text(root: Path) -> None:
    latin = os.fsencode(root) + b"/cat/caf\xe9.png"
    Path(os.fsdecode(latin)).write_bytes(b"any")
    folder = Path(os.fsdecode(os.fsencode(root) + b"/\xff"))
    write(folder / "1.png")

    names, problems = listing(root)

    assert ["cat/1.png"] == names
    assert {
        f"{root}/cat/caf\\xe9.png": "has a name that is not UTF-8; rename it",
        f"{root}/\\xff": "has a name that is not UTF-8; rename it",
    } == problems
    assert ["cat"] == tree(root).folders()


def test_what_is_neither_a_file_nor_a_folder_is_reported(root: Path) -> None:
    os.mkfifo(root / "cat" / "pipe.png")

    assert (["cat/1.png"], {f"{root}/cat/pipe.png": "is not a file; remove it"}) == listing(root)
    with pytest.raises(UnreadableError, match=r"^is not a file$"):
        tree(root).read("cat/pipe.png")
    with pytest.raises(UnreadableError, match=r"^is a folder$"):
        tree(root).read("cat")


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 300, "cat/1.png/2.png"])
def test_a_name_that_no_file_can_have_is_unreadable(root: Path, name: str) -> None:
    with pytest.raises(UnreadableError, match=r"^cannot be read: "):
        tree(root).read(name)
    assert tree(root).shown(name).encode()


def test_what_may_not_be_read_is_reported(nobodys: Path) -> None:
    write(nobodys / "cat" / "1.png").chmod(0)
    write(nobodys / "dog" / "2.png").parent.chmod(0)

    assert (["cat/1.png"], {f"{nobodys}/dog": "cannot be read: Permission denied"}) == listing(nobodys)
    assert ["cat", "dog"] == tree(nobodys).folders()
    assert [] == tree(nobodys).folders("dog")
    with pytest.raises(UnreadableError, match=r"^cannot be read: Permission denied$"):
        tree(nobodys).read("cat/1.png")
    with pytest.raises(BadInputError, match=r"data\.images: the folder .*/dog cannot be read: Permission denied"):
        listing(nobodys / "dog")
    (nobodys / "dog").chmod(0o700)


def test_a_folder_that_vanishes_while_the_tree_is_listed_is_reported(root: Path) -> None:
    write(root / "dog" / "2.png")
    problems: dict[str, str] = {}
    files = tree(root).files(lambda path, problem: problems.update({path: problem}))
    assert "cat/1.png" == next(files).name
    (root / "dog" / "2.png").unlink()
    (root / "dog").rmdir()

    assert [] == list(files)
    assert {f"{root}/dog": "does not exist"} == problems


def test_a_file_that_vanishes_while_its_folder_is_listed_is_reported(root: Path) -> None:
    write(root / "cat" / "2.png")
    problems: dict[str, str] = {}
    files = tree(root).files(lambda path, problem: problems.update({path: problem}))
    assert "cat/1.png" == next(files).name
    (root / "cat" / "2.png").unlink()

    assert [] == list(files)
    assert {f"{root}/cat/2.png": "does not exist"} == problems


@pytest.mark.parametrize(
    ("path", "what"),
    [
        ("gone", "the folder ROOT/gone does not exist; correct the path"),
        ("cat/1.png", "ROOT/cat/1.png is a file; name the folder with the label folders, a .csv"),
        ("cat/1.png/2.png", "the folder ROOT/cat/1.png/2.png cannot be read: Not a directory"),
    ],
)
def test_a_root_that_is_no_folder_is_refused(root: Path, path: str, what: str) -> None:
    with pytest.raises(BadInputError, match=rf"^data\.images: {what.replace('ROOT', str(root))}"):
        listing(root / path)
    assert [] == tree(root / path).folders()


def test_a_relative_path_and_a_home_are_completed(root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(root)
    monkeypatch.setenv("HOME", str(root))

    assert f"{root}/cat" == open_tree("cat", seconds=1).address
    assert f"{root}/cat" == open_tree("~/cat", seconds=1).address
    assert f"{root}/cat/1.png" == open_tree("~/cat", seconds=1).shown("1.png")


@pytest.mark.parametrize("number", [errno.EIO, errno.ESTALE, errno.ENOTCONN, errno.EMFILE])
def test_a_disk_that_does_not_answer_is_not_a_bad_file(number: int) -> None:
    with pytest.raises(StorageError, match=r"cannot read /mnt/1\.png: .*; try again"), file_errors("/mnt/1.png"):
        raise OSError(number, os.strerror(number))


def open_below(root: Path) -> list[str]:
    """What this process has open in a folder; other descriptors come and go."""
    links = []
    for descriptor in Path("/proc/self/fd").iterdir():
        with suppress(OSError):
            links.append(str(descriptor.readlink()))
    return [link for link in links if link.startswith(str(root))]


def test_no_descriptor_stays_open_if_a_listing_is_not_read_to_its_end(root: Path) -> None:
    files = tree(root).files(ignored)
    next(files)
    assert open_below(root)
    files.close()  # type: ignore[attr-defined]

    assert [] == open_below(root)
