import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.docker.registry_api import Registry, registry
from tests.ports import free_port

SCRIPT = Path(__file__).parents[2] / "docker/pin"
ELSEWHERE = f"sha256:{'0' * 64}"


@pytest.fixture
def there() -> Iterator[Registry]:
    with registry() as made:
        yield made


def pin(folder: Path, *options: str, expected: int = 0) -> str:
    command = [sys.executable, str(SCRIPT), "--folder", str(folder), *options]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert expected == done.returncode, done.stdout + done.stderr
    return done.stdout


def dockerfile(folder: Path, content: str) -> Path:
    path = folder / "docker/one/Dockerfile"
    path.parent.mkdir(parents=True)
    path.write_text(content)
    return path


def test_digests_are_written_where_images_are_named(there: Registry, tmp_path: Path) -> None:
    """In Dockerfiles and in the compose file; a variable's default and an argument in a comment count too."""
    digest, other = there.put("library/python:3.11", b"index"), there.put("prom/prometheus:v3", b"other")
    file = dockerfile(
        tmp_path, f"# X={there.host}/library/python:3.11\nARG X={there.host}/library/python:3.11\nFROM ${{X}}\n"
    )
    compose = tmp_path / "docker-compose.yaml"
    compose.write_text(f'a: {{image: "{there.host}/prom/prometheus:v3"}}\nb: understudy:${{TAG:-local}}\n')

    pin(tmp_path)

    full = f"{there.host}/library/python:3.11@{digest}"
    assert f"# X={full}\nARG X={full}\nFROM ${{X}}\n" == file.read_text()
    expected = f'a: {{image: "{there.host}/prom/prometheus:v3@{other}"}}\nb: understudy:${{TAG:-local}}\n'
    assert expected == compose.read_text()
    assert ["HEAD library/python:3.11", "HEAD prom/prometheus:v3"] == there.asked


def test_a_digest_that_is_right_stays(there: Registry, tmp_path: Path) -> None:
    content = f"FROM {there.host}/python:3.11@{there.put('python:3.11', b'index')}\n"
    file = dockerfile(tmp_path, content)

    assert f"{there.host}/python:3.11: unchanged\n" == pin(tmp_path) == pin(tmp_path, "--check")
    assert content == file.read_text()


@pytest.mark.parametrize(("digest", "problem"), [("", "not pinned"), (f"@{ELSEWHERE}", f"moved from {ELSEWHERE}")])
def test_check_fails_and_changes_nothing(there: Registry, tmp_path: Path, digest: str, problem: str) -> None:
    there.put("python:3.11", b"index")
    content = f"FROM {there.host}/python:3.11{digest}\n"
    file = dockerfile(tmp_path, content)

    assert problem in pin(tmp_path, "--check", expected=1)
    assert content == file.read_text()


def test_a_tag_that_has_moved_is_pinned_anew(there: Registry, tmp_path: Path) -> None:
    file = dockerfile(tmp_path, f"FROM {there.host}/python:3.11@{ELSEWHERE}\n")
    digest = there.put("python:3.11", b"index")

    assert f"moved from {ELSEWHERE} to {digest}" in pin(tmp_path)
    assert f"FROM {there.host}/python:3.11@{digest}\n" == file.read_text()


def test_without_the_header_the_content_tells_the_digest(there: Registry, tmp_path: Path) -> None:
    there.names_digests = False
    digest = there.put("python:3.11", b"index")
    file = dockerfile(tmp_path, f"FROM {there.host}/python:3.11\n")

    pin(tmp_path)

    assert f"FROM {there.host}/python:3.11@{digest}\n" == file.read_text()


def test_a_tag_that_does_not_exist_is_named_and_the_others_are_pinned(there: Registry, tmp_path: Path) -> None:
    digest = there.put("python:3.11", b"index")
    file = dockerfile(tmp_path, f"FROM {there.host}/none:1\nFROM {there.host}/python:3.11\n")

    assert f"{there.host}/none:1: the registry does not have this tag (404)" in pin(tmp_path, expected=1)
    assert f"FROM {there.host}/none:1\nFROM {there.host}/python:3.11@{digest}\n" == file.read_text()


def test_a_busy_registry_is_asked_again_after_the_pause_it_names(there: Registry, tmp_path: Path) -> None:
    there.busy = 2
    digest = there.put("python:3.11", b"index")
    dockerfile(tmp_path, f"FROM {there.host}/python:3.11\n")

    assert f"pinned to {digest}" in pin(tmp_path)
    assert 3 == len(there.asked)


@pytest.mark.parametrize(("busy", "pause"), [(3, "0"), (1, "3600")])
def test_a_registry_that_stays_busy_gives_no_answer(there: Registry, tmp_path: Path, busy: int, pause: str) -> None:
    there.busy, there.retry_after = busy, pause
    there.put("python:3.11", b"index")
    dockerfile(tmp_path, f"FROM {there.host}/python:3.11\n")

    assert "too many requests from here (429)" in pin(tmp_path, expected=75)


def test_a_registry_that_wants_a_login_is_refused_with_what_to_do(there: Registry, tmp_path: Path) -> None:
    there.wants_login = True
    dockerfile(tmp_path, f"FROM {there.host}/python:3.11\n")

    assert "the registry wants a login. Pin this image by hand" in pin(tmp_path, expected=1)


def test_a_registry_that_is_away_gives_no_answer(tmp_path: Path) -> None:
    host = f"127.0.0.1:{free_port()}"
    dockerfile(tmp_path, f"FROM {host}/python:3.11\n")

    assert f"{host}/python:3.11: {host} did not answer" in pin(tmp_path, expected=75)


def test_offline_names_what_has_no_digest_and_asks_nobody(there: Registry, tmp_path: Path) -> None:
    dockerfile(tmp_path, f"FROM {there.host}/python:3.11\nFROM {there.host}/other:1@{ELSEWHERE}\n")

    assert [f"{there.host}/python:3.11 has no digest"] == [
        line.partition(",")[0] for line in pin(tmp_path, "--offline").splitlines()
    ]
    assert [] == there.asked


def test_it_runs_on_the_python_3_9_that_some_machines_have() -> None:
    """Whoever only builds images has no newer one."""
    ruff = Path(sys.executable).with_name("ruff")
    how = ["check", "--isolated", "--target-version=py39", "--select=E9,F,FA102", "--stdin-filename=pin.py", "-"]
    done = subprocess.run([ruff, *how], input=SCRIPT.read_text(), capture_output=True, text=True, check=False)

    assert 0 == done.returncode, done.stdout + done.stderr
