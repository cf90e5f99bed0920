"""The command `understudy`: where it runs, what it says of itself, what it completes; and no traceback."""

import json
import os
import re
import shutil
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from pipeline.errors import ExitCode
from tests.command import PROJECT, SCRIPT, installed
from tests.releases import NO_MLFLOW

Done = subprocess.CompletedProcess[str]
HEAVY = ("tensorflow", "mlflow", "grpc", "numpy", "httpx")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    (tmp_path / "bucket").mkdir()
    return {
        **{name: value for name, value in os.environ.items() if not name.startswith("UNDERSTUDY_")},
        **installed(tmp_path / "bin"),
        "UNDERSTUDY_ROOT": str(tmp_path / "bucket"),
        "UNDERSTUDY_MODELS": str(PROJECT / "models"),
        "UNDERSTUDY_REPLICAS": "127.0.0.1:9",
        "UNDERSTUDY_MLFLOW_URL": NO_MLFLOW,
        "TMPDIR": str(tmp_path),
        "COLUMNS": "200",
    }


def run(*words: str, environment: dict[str, str], folder: str = "/") -> Done:
    return subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True, check=False)


def test_it_runs_from_any_folder_and_through_a_link(environment: dict[str, str], tmp_path: Path) -> None:
    """...also from one that has a folder `pipeline` of its own."""
    (tmp_path / "pipeline").mkdir()
    (tmp_path / "pipeline" / "__main__.py").write_text("raise SystemExit('the wrong one')")
    (tmp_path / "link").symlink_to(tmp_path / "bin" / "understudy")
    by_name = run("understudy", "history", "--model", "digits", environment=environment, folder=str(tmp_path))
    by_link = run(str(tmp_path / "link"), "history", "--model", "digits", environment=environment)

    assert (0, 0) == (by_name.returncode, by_link.returncode), by_name.stderr + by_link.stderr
    assert "nothing was released yet for 'digits'" in by_name.stdout
    assert by_name.stdout == by_link.stdout


def test_the_module_is_the_same_command(environment: dict[str, str]) -> None:
    words = ("rollback", "--model", "digits", "--reason", "bad")
    command = run("understudy", *words, environment=environment)
    module = run(sys.executable, "-m", "pipeline", *words, environment=environment)

    assert command.returncode == module.returncode == ExitCode.FAILED
    assert _without_time(command.stderr) == _without_time(module.stderr)


def _without_time(text: str) -> str:
    return re.sub(r"\d\d:\d\d:\d\d", "", text)


def test_without_its_python_it_says_so_in_one_sentence(tmp_path: Path) -> None:
    shutil.copy(SCRIPT, tmp_path / "understudy")
    done = run(str(tmp_path / "understudy"), "status", environment=dict(os.environ))

    assert 1 == done.returncode
    assert f"understudy: {tmp_path}/python is missing. Run 'make setup' in the folder of the project.\n" == done.stderr


@pytest.mark.parametrize("missing", ["pipeline", "typer", "grpc"])
def test_without_a_package_it_says_so_in_one_sentence(
    environment: dict[str, str], tmp_path: Path, missing: str
) -> None:
    """Whether it is the project itself, one that every command needs, or one that only some need."""
    (tmp_path / "broken" / missing).mkdir(parents=True)
    (tmp_path / "broken" / missing / "__init__.py").write_text(
        f"raise ModuleNotFoundError('No module named {missing}')"
    )
    path = f"{tmp_path / 'broken'}:{PROJECT}"
    done = run("understudy", "status", "--model", "digits", environment=environment | {"PYTHONPATH": path})

    assert 1 == done.returncode
    (line,) = done.stderr.splitlines()
    assert f"No module named {missing}. Run `make setup` in the folder of the project" in line


BROKEN = "import pipeline.storage.local as local\ndef names(*_):\n    {}\nlocal.LocalBucket.names = names\n"


def with_defect(environment: dict[str, str], folder: Path, statement: str) -> dict[str, str]:
    """The same, where each verb that lists the bucket carries out this statement."""
    (folder / "broken").mkdir()
    (folder / "broken" / "sitecustomize.py").write_text(BROKEN.format(statement))
    return environment | {
        "PYTHONPATH": f"{folder / 'broken'}:{PROJECT}",
        "UNDERSTUDY_RESULT_FILE": str(folder / "result.json"),
    }


@pytest.mark.parametrize(
    ("statement", "error"),
    [
        ("from pipeline.layout import gone", "ImportError: cannot import name 'gone' from 'pipeline.layout'"),
        ("import pipeline.gone", "ModuleNotFoundError: No module named 'pipeline.gone'"),
        ("import serving.gone.too", "ModuleNotFoundError: No module named 'serving.gone'"),
        ("from json import gone", "ImportError: cannot import name 'gone' from 'json'"),
    ],
)
def test_an_import_error_of_the_project_is_a_defect_and_no_missing_package(
    environment: dict[str, str], tmp_path: Path, statement: str, error: str
) -> None:
    broken = with_defect(environment, tmp_path, statement)
    done = run("understudy", "history", "--model", "digits", environment=broken)

    assert 1 == done.returncode
    (line,) = done.stderr.splitlines()
    assert f"this is a defect of Understudy: {error}" in line
    assert "make setup" not in line
    assert statement in Path(line.rpartition(" ")[2]).read_text()


def test_a_package_that_only_one_verb_needs_is_missing_there(environment: dict[str, str], tmp_path: Path) -> None:
    broken = with_defect(environment, tmp_path, "import nosuchpackage.part")
    done = run("understudy", "history", "--model", "digits", environment=broken)

    (line,) = done.stderr.splitlines()
    assert "a package is missing: No module named 'nosuchpackage'. Run `make setup`" in line


@pytest.mark.parametrize(
    "refusal",
    [
        "def refuse(*_, **__):\n    raise FileNotFoundError(2, 'No usable temporary directory found')\n"
        "import tempfile\ntempfile.NamedTemporaryFile = refuse\n",
        "import tempfile\ndef full(*_, **__):\n    return open('/dev/full', 'w')\ntempfile.NamedTemporaryFile = full\n",
    ],
    ids=["no folder", "full disk"],
)
def test_a_defect_whose_traceback_cannot_be_kept_is_still_one_sentence_with_a_result(
    environment: dict[str, str], tmp_path: Path, refusal: str
) -> None:
    broken = with_defect(environment, tmp_path, "1 / 0")
    with (tmp_path / "broken" / "sitecustomize.py").open("a") as file:
        file.write(refusal)
    done = run("understudy", "history", "--model", "digits", environment=broken)

    assert 1 == done.returncode
    (line,) = done.stderr.splitlines()
    assert "defect of Understudy: ZeroDivisionError: division by zero. Report it with this line" in line
    left = json.loads((tmp_path / "result.json").read_text())
    assert "failed" == left["outcome"]
    assert "ZeroDivisionError" in left["reason"]


@pytest.mark.parametrize(
    ("words", "there"),
    [
        (("history", "--model", "digits"), False),
        (("announce", "--model", "digits"), False),
        (("retain", "--model", "digit"), False),
        (("init", "--model", "digit"), False),
        (("sync", "--model", "digits"), True),
    ],
)
def test_a_command_in_a_message_has_the_name_of_the_model(
    environment: dict[str, str], tmp_path: Path, words: tuple[str, ...], there: bool
) -> None:
    """...also in what a verb leaves for the program that has started it."""
    asked = environment | {
        "UNDERSTUDY_RESULT_FILE": str(tmp_path / "result.json"),
        "UNDERSTUDY_SERVER_ROOT": str(tmp_path / "servers"),
    }
    if there:  # a config that servers poll for the highest number, in a bucket that goes away
        asked["UNDERSTUDY_ROLLOUT"] = "latest"
        run("understudy", "init", "--model", "digits", environment=asked)
        asked = with_defect(asked, tmp_path, "raise local.StorageError('run `understudy init --model <model>`')")
    else:
        asked["UNDERSTUDY_ROOT"] = str(tmp_path / "away")
    done = run("understudy", *words, environment=asked)

    assert 1 == done.returncode
    command = f"understudy init --model {words[-1]}`"
    assert command in done.stderr
    assert command in json.loads((tmp_path / "result.json").read_text())["reason"]
    assert "<model>" not in done.stderr


def test_the_version_is_that_of_the_project_and_of_the_code(environment: dict[str, str]) -> None:
    done = run("understudy", "--version", environment=environment | {"UNDERSTUDY_CODE_VERSION": "abc1234"})
    version = tomllib.loads((PROJECT / "pyproject.toml").read_text())["project"]["version"]

    assert f"understudy {version} (code abc1234)\n" == done.stdout


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (("canary", "--model", "digits"), "Missing option '--run'"),
        (("nosuch",), "No such command 'nosuch'"),
        (("rollback",), "Missing option '--model'"),
        (("rollback", "--model", "digits", "--no-such"), "No such option: --no-such"),
        (("history", "--model", "digits", "--last", "soon"), "Invalid value for '--last'"),
    ],
)
def test_a_wrong_command_line_ends_with_2_and_says_what_is_wrong(
    environment: dict[str, str], tmp_path: Path, words: tuple[str, ...], says: str
) -> None:
    """...also to the program that has started it."""
    file = tmp_path / "result.json"
    done = run("understudy", *words, environment=environment | {"UNDERSTUDY_RESULT_FILE": str(file)})

    assert 2 == done.returncode
    assert says in done.stderr
    left = json.loads(file.read_text())
    assert "failed" == left["outcome"]
    assert says in left["reason"]
    assert "Try 'understudy" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_defect_is_a_sentence_and_its_traceback_is_in_a_file(environment: dict[str, str], tmp_path: Path) -> None:
    broken = with_defect(environment, tmp_path, "1 / 0")
    done = run("understudy", "reconcile", "--model", "digits", environment=broken)

    assert 1 == done.returncode
    (line,) = [each for each in done.stderr.splitlines() if "defect" in each]
    assert "this is a defect of Understudy: ZeroDivisionError: division by zero" in line
    assert "Traceback" not in done.stderr
    assert "1 / 0" in Path(line.rpartition(" ")[2]).read_text()
    assert '"outcome": "crashed"' in done.stdout
    assert "ZeroDivisionError" in done.stdout


def completed(environment: dict[str, str], *words: str) -> list[str]:
    asked = {
        "_UNDERSTUDY_COMPLETE": "complete_bash",
        "COMP_WORDS": " ".join(["understudy", *words]),
        "COMP_CWORD": str(len(words)),
    }
    return run("understudy", environment=environment | asked).stdout.split()


def test_a_shell_completes_verbs_options_and_models(environment: dict[str, str]) -> None:
    assert {"rollback", "readmit", "reconcile", "retain"} == set(completed(environment, "r"))
    assert "--without-bucket" in completed(environment, "rollback", "--w")
    assert ["digits"] == completed(environment, "status", "--model", "d")


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_the_completion_of_a_shell_is_shown(environment: dict[str, str], shell: str) -> None:
    named = {"_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION": "1"}  # else it is the shell that has started this test
    done = run("understudy", "--show-completion", shell, environment=environment | named)

    assert f"_UNDERSTUDY_COMPLETE=complete_{shell}" in done.stdout


@pytest.mark.parametrize(
    "variables",
    [{}, {"_UNDERSTUDY_COMPLETE": "complete_bash", "COMP_WORDS": "understudy status --model d", "COMP_CWORD": "3"}],
)
def test_help_and_completion_load_nothing_that_they_do_not_need(
    environment: dict[str, str], variables: dict[str, str]
) -> None:
    code = (
        "import sys\nfrom pipeline.__main__ import main\nsys.argv = ['understudy', '--help']\n"
        "try: main()\nexcept SystemExit: pass\n"
        f"print('loaded', [name for name in {HEAVY!r} if name in sys.modules])"
    )
    done = run(sys.executable, "-c", code, environment=environment | variables)

    assert "loaded []" == done.stdout.splitlines()[-1], done.stderr


def test_the_help_has_every_exit_code(environment: dict[str, str]) -> None:
    text = " ".join(run("understudy", "--help", environment=environment).stdout.split())
    codes = text.partition("Exit codes: ")[2]

    assert {*map(int, ExitCode), 2} == {int(code) for code in re.findall(r"(?:^|; )(\d+) ", codes)}
