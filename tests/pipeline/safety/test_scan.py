"""The scan of whole folders: what may be served, what may not, and what is no model at all."""

import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipeline.errors import BadInputError, FailedError
from serving.signature import INPUT, NAME, PROBABILITIES
from tests.pipeline.safety.scanning import edited, problems

ROOT = Path(__file__).parents[3]


@pytest.mark.parametrize("name", ["own", "mobilenet", "plain", "table"])
def test_what_the_pipeline_exports_may_be_served(models: Path, name: str) -> None:
    assert [] == problems(models / name)


def test_a_model_that_writes_is_refused_before_it_can(models: Path) -> None:
    """F63: the scan runs nothing, and the file the model would write is not there."""
    (found,) = problems(models / "writes")

    assert found.startswith("op 'WriteFile' writes files: node 'WriteFile' of function '__inference_serve_")
    assert not (models / "written.txt").exists()


def of_a_newer_tensorflow(saved_model: Any) -> None:
    saved_model.meta_graphs[0].meta_info_def.tensorflow_version = "99.0.1-rc2"


def of_no_tensorflow(saved_model: Any) -> None:
    saved_model.meta_graphs[0].meta_info_def.tensorflow_version = "unknown"


def with_another_output(saved_model: Any) -> None:
    outputs = saved_model.meta_graphs[0].signature_def[NAME].outputs
    outputs["score"].CopyFrom(outputs.pop(PROBABILITIES))


def with_a_type_nobody_knows(saved_model: Any) -> None:
    saved_model.meta_graphs[0].signature_def[NAME].inputs[INPUT].dtype = 9999


def with_another_tag(saved_model: Any) -> None:
    saved_model.meta_graphs[0].meta_info_def.tags[:] = ["train"]


def with_a_second_graph(saved_model: Any) -> None:
    other = saved_model.meta_graphs.add()
    other.CopyFrom(saved_model.meta_graphs[0])
    other.meta_info_def.tags.append("gpu")
    other.graph_def.node.add(name="hidden", op="ReadFile")


def with_an_asset_elsewhere(saved_model: Any) -> None:
    saved_model.meta_graphs[0].asset_file_def.add(filename="../../secret.txt")


def with_an_asset_less(saved_model: Any) -> None:
    saved_model.meta_graphs[0].asset_file_def.add(filename="lost.txt")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (
            of_a_newer_tensorflow,
            ["TensorFlow 99.0.1-rc2 wrote the model, and the servers run 2.21, which is older"],
        ),
        (of_no_tensorflow, ["the model does not say which TensorFlow wrote it, only 'unknown'"]),
        (
            with_another_output,
            [
                "signature: output 'score' is not promised",
                "signature: output 'probabilities', DT_FLOAT [-1, 2], is missing",
            ],
        ),
        (with_a_type_nobody_knows, ["signature: no TensorFlow knows the types of 'image_bytes'"]),
        (with_another_tag, ["0 graphs are tagged ['serve'], not one"]),
        (with_a_second_graph, ["graph ['gpu', 'serve']: op 'ReadFile' reads files: node 'hidden' of the main graph"]),
        (with_an_asset_elsewhere, ["asset '../../secret.txt' has a path outside the model folder"]),
        (with_an_asset_less, ["asset 'lost.txt' is missing"]),
    ],
)
def test_a_changed_description_is_refused(
    models: Path, tmp_path: Path, change: Callable[[Any], None], expected: list[str]
) -> None:
    """F23 a changed signature, F24 a newer TensorFlow than the servers', and more."""
    assert expected == problems(edited(models / "plain", tmp_path / "model", change))


@pytest.mark.parametrize(("server", "count"), [("2.20", 1), ("2.21", 0), ("2.21.0", 0), ("2.100.1", 0), ("3.0", 0)])
def test_the_version_of_the_servers_is_compared_by_its_numbers(
    models: Path, tmp_path: Path, server: str, count: int
) -> None:
    def said(saved_model: Any) -> None:
        saved_model.meta_graphs[0].meta_info_def.tensorflow_version = "2.21.0"

    assert count == len(problems(edited(models / "plain", tmp_path / "model", said), server_tensorflow=server))


def test_servers_of_no_version_are_a_mistake_of_the_caller(models: Path) -> None:
    with pytest.raises(BadInputError, match=r"given as 'newest'; write it like 2\.21"):
        problems(models / "plain", server_tensorflow="newest")


def test_a_link_is_refused(models: Path, tmp_path: Path) -> None:
    """What a server finds behind it need not be what was scanned."""
    folder = shutil.copytree(models / "plain", tmp_path / "model")
    (folder / "assets" / "secret.txt").symlink_to("/etc/hostname")

    assert ["links lead out of what was scanned: 'assets/secret.txt'"] == problems(folder)


def test_all_that_is_wrong_is_told_at_once_but_not_for_ever(models: Path, tmp_path: Path) -> None:
    def with_many_kinds(saved_model: Any) -> None:
        of_a_newer_tensorflow(saved_model)
        for number in range(100):
            saved_model.meta_graphs[0].graph_def.node.add(name=f"n{number}", op=f"Custom{number}")

    found = problems(edited(models / "plain", tmp_path / "model", with_many_kinds))

    assert 21 == len(found)
    assert "and 81 more problems" == found[-1]


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (None, "cannot be read (No such file or directory), so there is no SavedModel; train again"),
        (b"\xff" * 100, "is not a SavedModel: Error parsing message"),
    ],
)
def test_a_folder_without_a_model_is_an_error_that_says_so(tmp_path: Path, content: bytes | None, said: str) -> None:
    if content is not None:
        (tmp_path / "saved_model.pb").write_bytes(content)

    with pytest.raises(FailedError) as caught:
        problems(tmp_path)
    assert f"{tmp_path}/saved_model.pb {said}" == str(caught.value)[: len(f"{tmp_path}/saved_model.pb {said}")]


def test_an_empty_file_describes_nothing_to_serve(tmp_path: Path) -> None:
    (tmp_path / "saved_model.pb").touch()

    assert ["0 graphs are tagged ['serve'], not one"] == problems(tmp_path)


@given(content=st.binary(max_size=200))
@settings(max_examples=300, deadline=None)
def test_garbage_is_refused_or_an_error_and_never_a_crash(
    tmp_path_factory: pytest.TempPathFactory, content: bytes
) -> None:
    folder = tmp_path_factory.getbasetemp() / "garbage"
    folder.mkdir(exist_ok=True)
    (folder / "saved_model.pb").write_bytes(content)

    assert refused(folder)


@given(data=st.data())
@settings(max_examples=150, deadline=None)
def test_a_model_with_changed_bytes_never_crashes_the_scan(
    models: Path, tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Without variables, so that there is always something to refuse."""
    content = bytearray((models / "table" / "saved_model.pb").read_bytes())
    changes = st.tuples(st.integers(0, len(content) - 1), st.integers(0, 255))
    for position, value in data.draw(st.lists(changes, max_size=20)):
        content[position] = value
    folder = tmp_path_factory.getbasetemp() / "changed"
    folder.mkdir(exist_ok=True)
    (folder / "saved_model.pb").write_bytes(content)

    assert refused(folder)


def refused(folder: Path) -> bool:
    try:
        return bool(problems(folder))
    except FailedError:
        return True


def test_the_scan_does_without_tensorflows_python(models: Path) -> None:
    code = (
        "import sys; from tests.pipeline.safety.scanning import problems; from pathlib import Path;"
        "assert problems(Path(sys.argv[1])) == []; print('tensorflow' in sys.modules)"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(models / "plain")], cwd=ROOT, capture_output=True, text=True, check=True
    )

    assert "False" == done.stdout.strip()
