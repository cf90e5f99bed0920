"""Which files a person means."""

import os
from pathlib import Path

import pytest

from pipeline.image_files import ImageFiles, read_image
from serving.images import ImageError


def test_folders_are_looked_through_by_name_and_files_stay_in_their_order(tmp_path: Path) -> None:
    for name in ("b/2.png", "b/10.jpg", "b/a/1", "a.txt", ".hidden", ".git/x.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    found = list(ImageFiles([tmp_path / "b" / "2.png", tmp_path, tmp_path / "none"]))

    assert ["b/2.png", "a.txt", "b/10.jpg", "b/2.png", "b/a/1", "none"] == [
        path.relative_to(tmp_path).as_posix() for path in found
    ]


def test_a_link_to_a_folder_is_not_followed(tmp_path: Path) -> None:
    """It may lead to itself."""
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "one.png").touch()
    (tmp_path / "two.png").symlink_to(tmp_path / "one.png")

    assert ["one.png", "two.png"] == [path.name for path in ImageFiles([tmp_path])]


def test_a_pipe_is_no_file_and_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(ImageError, match="is not a file"):
        read_image(tmp_path / "pipe")


def test_a_file_that_is_larger_than_any_image_is_not_read(tmp_path: Path) -> None:
    with (tmp_path / "large.png").open("wb") as file:
        file.truncate(600 << 20)
    with pytest.raises(ImageError, match="is too large: 629,145,600 bytes"):
        read_image(tmp_path / "large.png")
