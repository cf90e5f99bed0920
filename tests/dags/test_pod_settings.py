"""The file that says how the pods of steps look."""

from pathlib import Path

import pytest

from dags.tasks.pod_settings import VERBS, load_pods
from pipeline.errors import BadInputError

GENERAL = """\
image: registry.example/pipeline:1
namespace: understudy
labels: {team: vision}
resources: {limits: {memory: 2Gi}}
env: [{name: A, value: one}, {name: B, valueFrom: {secretKeyRef: {name: b, key: b}}}]
"""


def write(folder: Path, content: str) -> Path:
    path = folder / "pods.yaml"
    path.write_text(content, encoding="utf-8")
    return path


def test_a_field_of_a_verb_replaces_the_general_one(tmp_path: Path) -> None:
    own = "verbs: {train: {image: other:2, resources: {limits: {nvidia.com/gpu: 1}}, env: []}}\n"
    pods = load_pods(write(tmp_path, GENERAL + own))
    train, gate = pods.of("train"), pods.of("gate")

    assert ("other:2", {"limits": {"nvidia.com/gpu": 1}}, []) == (train.image, train.resources, train.env)
    assert ("understudy", {"team": "vision"}) == (train.namespace, train.labels)
    assert ("registry.example/pipeline:1", {"limits": {"memory": "2Gi"}}) == (gate.image, gate.resources)


def test_a_verb_may_take_a_general_field_away(tmp_path: Path) -> None:
    pods = load_pods(
        write(tmp_path, f"{GENERAL}nodeSelector: {{gpu: 'yes'}}\nverbs: {{gate: {{nodeSelector: null}}}}\n")
    )

    assert ({"gpu": "yes"}, None) == (pods.of("train").node_selector, pods.of("gate").node_selector)


def test_the_variables_of_a_verb_are_known_without_the_values_of_secrets(tmp_path: Path) -> None:
    pods = load_pods(write(tmp_path, f"{GENERAL}verbs: {{train: {{env: [{{name: C, value: three}}]}}}}\n"))

    assert {"A": "one", "B": None} == pods.variables("gate")
    assert {"C": "three"} == pods.variables("train")


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("verbs: {trian: {}}", "trian is no step of a DAG"),
        ("verbs: {train: {execution: pods}}", "execution"),
        ("verbs: {train: {startSeconds: 0}}", "startSeconds"),
        ("gke: {project: p, location: l}", "cluster"),
        ("verbs: {train: {env: [{name: N, value: 1}]}}", "N: Kubernetes takes only text, so write the value in quotes"),
        ("verbs: {train: {env: [{name: DB_PASSWORD, value: hidden}]}}", "DB_PASSWORD has a secret as its value"),
        ("verbs: {train: {env: [{name: URL, value: 'http://ann:hidden@host'}]}}", "URL has a secret as its value"),
        ("verbs: {train: {env: [{name: URL, value: 'https://hidden@host/'}]}}", "URL has a secret as its value"),
        ("verbs: {train: {env: [{name: WANDB_API_KEY, value: hidden}]}}", "WANDB_API_KEY has a secret as its value"),
        ("verbs: {train: {env: [{name: privateKey, value: hidden}]}}", "privateKey has a secret as its value"),
        ("verbs: {train: {env: [{name: A, value: hidden}}}", "is not YAML: line 6, column"),
    ],
)
def test_what_is_wrong_is_named_and_a_secret_is_not_repeated(tmp_path: Path, more: str, said: str) -> None:
    with pytest.raises(BadInputError) as refused:
        load_pods(write(tmp_path, f"{GENERAL}{more}\n"))

    assert said in str(refused.value)
    assert "hidden" not in str(refused.value)


def test_every_verb_of_pods_needs_an_image(tmp_path: Path) -> None:
    local = ", ".join(f"{verb}: {{execution: local}}" for verb in VERBS if verb != "train")

    with pytest.raises(BadInputError, match="missing for train"):
        load_pods(write(tmp_path, f"verbs: {{{local}}}\n"))


def test_a_verb_that_is_no_pod_needs_no_image(tmp_path: Path) -> None:
    local = ", ".join(f"{verb}: {{execution: local}}" for verb in VERBS if verb != "train")
    pods = load_pods(write(tmp_path, f"verbs: {{{local}, train: {{image: a}}}}\n"))

    assert ("a", None) == (pods.of("train").image, pods.of("gate").image)
