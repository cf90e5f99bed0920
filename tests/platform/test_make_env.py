"""`sh docker/make-env`, run as a person runs it."""

import base64
import re
import shutil
import stat
import subprocess
from pathlib import Path

import pytest

from serving.gateway.security.keys import PREFIX, Key, digest_of, parse_keys
from tests.hunts import hunt_cases
from tests.platform.compose_file import Checkout

# Secrets that Compose reads. The key of the gateway is for people.
SECRETS = {
    "AIRFLOW_ADMIN_PASSWORD",
    "AIRFLOW_ONCALL_PASSWORD",
    "AIRFLOW_DB_PASSWORD",
    "AIRFLOW_FERNET_KEY",
    "AIRFLOW_JWT_SECRET",
    "AIRFLOW_SECRET_KEY",
    "GRAFANA_ADMIN_PASSWORD",
    "MINIO_PASSWORD",
    "MLFLOW_DB_PASSWORD",
    "POSTGRES_PASSWORD",
}


@pytest.fixture
def checkout(tmp_path: Path) -> Checkout:
    return Checkout(tmp_path)


def secrets(checkout: Checkout) -> dict[str, str]:
    return {name: value for name, value in checkout.values().items() if name in SECRETS}


def keys_of(checkout: Checkout) -> dict[str, bytes]:
    return {key.name: key.digest for key in parse_keys(checkout.keys.read_text())}


def test_only_the_owner_can_read_the_file_and_nothing_else_is_left_behind(checkout: Checkout) -> None:
    done = checkout.make_env()

    assert "" == done.stderr
    assert 0o600 == stat.S_IMODE(checkout.env.stat().st_mode)
    assert [".env", ".env.gateway-keys", "docker"] == sorted(path.name for path in checkout.folder.iterdir())


def test_secrets_are_different_and_as_long_as_their_programs_need(checkout: Checkout) -> None:
    checkout.make_env()

    made = secrets(checkout)
    assert len(SECRETS) == len(set(made.values()))
    assert 32 == len(base64.urlsafe_b64decode(made["AIRFLOW_FERNET_KEY"]))
    assert 64 <= len(made["AIRFLOW_JWT_SECRET"])
    assert all(len(value) >= 24 for value in made.values())


def test_no_secret_is_printed(checkout: Checkout) -> None:
    printed = checkout.make_env().stdout

    assert checkout.values()["GATEWAY_KEY"] not in printed
    assert "docker compose up --detach" in printed
    assert [] == [name for name, value in secrets(checkout).items() if value in printed]


def test_a_second_call_keeps_secrets_and_what_people_have_written(checkout: Checkout) -> None:
    checkout.make_env()
    before, keys = secrets(checkout), keys_of(checkout)
    text = checkout.env.read_text().replace("AIRFLOW_PORT=8080", "AIRFLOW_PORT=18080")
    checkout.env.write_text(f"{text}\n# the proxy of the office\nHTTPS_PROXY=http://proxy:3128\n")

    for _ in range(2):
        assert 0 == checkout.make_env("--gpu").returncode

    assert (before, keys) == (secrets(checkout), keys_of(checkout))
    assert "18080" == checkout.values()["AIRFLOW_PORT"]
    assert "gpu" == checkout.values()["COMPOSE_PROFILES"]
    assert ["# the proxy of the office", "HTTPS_PROXY=http://proxy:3128"] == checkout.env.read_text().splitlines()[-2:]
    assert 1 == checkout.env.read_text().count("# the proxy of the office")


def test_the_gateway_knows_the_key_of_env_by_its_hash(checkout: Checkout) -> None:
    """The container has another user, which must be able to read the file; the key is not in it."""
    checkout.make_env()

    key = checkout.values()["GATEWAY_KEY"]
    assert key.startswith(PREFIX)
    assert 32 == len(base64.urlsafe_b64decode(key.removeprefix(PREFIX) + "="))
    assert {"make-env": digest_of(key)} == keys_of(checkout)
    assert 0o644 == stat.S_IMODE(checkout.keys.stat().st_mode)


def test_a_new_key_replaces_the_old_one_and_keys_of_people_stay(checkout: Checkout) -> None:
    """In the same file: a container has mounted that one."""
    checkout.make_env()
    file = checkout.keys.stat().st_ino
    own = Key(name="shop", digest=digest_of("another key"), rate=5.0)
    with checkout.keys.open("a") as keys:
        keys.write(f"# ours\n{own.line()}\n")
    checkout.env.write_text(re.sub("GATEWAY_KEY=.*", "GATEWAY_KEY='a new key'", checkout.env.read_text()))
    for _ in range(2):
        checkout.make_env()

    assert {"make-env": digest_of("a new key"), "shop": own.digest} == keys_of(checkout)
    assert 1 == checkout.keys.read_text().count("# ours")
    assert file == checkout.keys.stat().st_ino


@pytest.mark.parametrize("program", hunt_cases(["sha256sum", "shasum", "openssl"], in_make_test=["shasum", "openssl"]))
def test_any_program_that_makes_a_hash_will_do(checkout: Checkout, program: str) -> None:
    """sha256sum is in Linux, where all other tests use it, and shasum in macOS."""
    found = shutil.which(program)
    if found is None:
        pytest.skip(f"needs {program}")
    needed = ("sh", "dirname", "od", "tr", "dd", "base64", "sed", "tail", "cut", "cat", "chmod", "mv", "rm", "grep")
    folder = checkout.folder / "bin"
    folder.mkdir()
    for name in needed:
        (folder / name).symlink_to(str(shutil.which(name)))
    (folder / program).symlink_to(found)

    assert "" == checkout.make_env(PATH=str(folder)).stderr
    assert {"make-env": digest_of(checkout.values()["GATEWAY_KEY"])} == keys_of(checkout)


DOWN = "Next: docker compose --project-name understudy down, if it runs; then docker compose up --detach"


@pytest.mark.parametrize(
    ("options", "changed"),
    [
        ((), False),
        (("--cpu", "--storage", "disk"), False),
        (("--gpu",), True),
        (("--storage", "s3"), True),
    ],
)
def test_another_choice_says_that_what_runs_must_be_stopped(
    checkout: Checkout, options: tuple[str, ...], changed: bool
) -> None:
    """Compose leaves the containers of profiles that are no longer chosen."""
    assert DOWN not in checkout.make_env().stdout

    assert changed == (DOWN in checkout.make_env(*options).stdout)


def test_another_bucket_of_the_same_kind_is_another_choice(checkout: Checkout) -> None:
    checkout.make_env("--storage", "gcs", "--bucket", "gs://one")

    assert DOWN not in checkout.make_env("--storage", "gcs", "--bucket", "gs://one").stdout
    assert DOWN in checkout.make_env("--bucket", "gs://two").stdout


def test_the_version_of_the_code_is_asked_for_each_time(checkout: Checkout) -> None:
    def git(*words: str) -> str:
        who = ["-c", "user.name=A", "-c", "user.email=a@example.com", "-c", "commit.gpgsign=false"]
        command = ["git", "-C", str(checkout.folder), *who, *words]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    checkout.make_env()
    assert "unknown" == checkout.values()["CODE_VERSION"], "not a checkout of git"

    git("init", "--quiet")
    for message in ("one", "two"):
        git("commit", "--quiet", "--allow-empty", f"--message={message}")
        checkout.make_env()
        assert git("rev-parse", "--short", "HEAD") == checkout.values()["CODE_VERSION"]


def test_a_secret_that_was_deleted_is_made_anew(checkout: Checkout) -> None:
    checkout.make_env()
    before = secrets(checkout)
    lost = before["GRAFANA_ADMIN_PASSWORD"]
    checkout.env.write_text(checkout.env.read_text().replace(lost, ""))

    checkout.make_env()

    after = secrets(checkout)
    assert {"GRAFANA_ADMIN_PASSWORD"} == {name for name in SECRETS if before[name] != after[name]}
    assert after["GRAFANA_ADMIN_PASSWORD"]


def test_every_variable_stands_below_a_comment(checkout: Checkout) -> None:
    checkout.make_env()

    paragraphs = checkout.env.read_text().split("\n\n")
    assert len(paragraphs) > 10
    assert [] == [paragraph for paragraph in paragraphs if not paragraph.startswith("## ")]


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ((), ("cpu", "/bucket", "bucket", "", "1")),
        (("--storage", "s3"), ("cpu,s3", "s3://understudy/platform", "synced", "/bucket", "2")),
        (("--storage", "gcs", "--bucket", "gs://models/a"), ("cpu,gcs", "gs://models/a", "synced", "/bucket", "2")),
    ],
)
def test_a_storage_and_the_way_back(checkout: Checkout, options: tuple[str, ...], expected: tuple[str, ...]) -> None:
    """A change of the storage changes all settings that depend on it, in both directions."""
    names = ("COMPOSE_PROFILES", "BUCKET_ROOT", "BUCKET_VOLUME", "SERVER_ROOT", "CONFIG_POLL_SECONDS")

    def chosen() -> tuple[str, ...]:
        return tuple(checkout.values()[name] for name in names)

    assert 0 == checkout.make_env(*options).returncode
    assert expected == chosen()
    assert 0 == checkout.make_env().returncode
    assert expected == chosen(), "without options nothing changes"
    assert 0 == checkout.make_env("--storage", "disk").returncode
    assert ("cpu", "/bucket", "bucket", "", "1") == chosen()


def test_folders_become_absolute_and_may_have_spaces(checkout: Checkout) -> None:
    (checkout.folder / "my images").mkdir()

    checkout.make_env("--data", "my images")
    checkout.make_env()

    assert str(checkout.folder / "my images") == checkout.values()["UNDERSTUDY_DATA"]
    assert f"UNDERSTUDY_DATA='{checkout.folder}/my images'" in checkout.env.read_text()


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--storage", "tape"), "'tape' is neither disk nor gcs nor s3"),
        (("--storage", "gcs"), "needs --bucket gs://NAME/PREFIX"),
        (("--storage", "gcs", "--bucket", "s3://b"), "'s3://b' does not begin with gs://"),
        (("--bucket", "gs://b"), "--bucket is for --storage gcs"),
        (("--credentials", "key.json"), "--credentials is for --storage gcs"),
        (("--storage", "gcs", "--bucket", "gs://b", "--credentials", "key.json"), "'key.json' does not exist"),
        (("--data", "nowhere"), "the folder 'nowhere' does not exist"),
        (("--data",), "--data needs a value"),
        (("--data", "it's"), "must have neither quotes nor line breaks"),
        (("--gpus",), "unknown option '--gpus'"),
    ],
)
def test_a_wrong_option_is_named_and_changes_nothing(checkout: Checkout, options: tuple[str, ...], reason: str) -> None:
    checkout.make_env()
    before = checkout.env.read_bytes()

    done = checkout.make_env(*options)

    assert 0 != done.returncode
    assert reason in done.stderr
    assert before == checkout.env.read_bytes()
    assert [".env", ".env.gateway-keys", "docker"] == sorted(path.name for path in checkout.folder.iterdir())
