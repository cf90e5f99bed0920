"""The rendered config, read back with TensorFlow Serving's own messages."""

from google.protobuf import text_format

from pipeline.journal.config_header import rendered_entry
from pipeline.journal.state import State
from pipeline.rollout.config import render, render_latest, rollout_of, unknown_format
from serving.apis import model_server_config_pb2


def parsed(state: State, base_path: str = "/bucket/serve/digits") -> model_server_config_pb2.ModelServerConfig:
    text = render(model="digits", base_path=base_path, state=state, seq=12)
    return text_format.Parse(text, model_server_config_pb2.ModelServerConfig())


def test_before_the_first_release_the_list_is_empty_and_there() -> None:
    config = parsed(State())

    assert config.HasField("model_config_list")
    assert 0 == len(config.model_config_list.config)


def test_the_first_candidate_is_named_without_a_label() -> None:
    model = parsed(State(candidate=1)).model_config_list.config[0]

    assert [1] == list(model.model_version_policy.specific.versions)
    assert {} == dict(model.version_labels)


def test_resident_versions_by_number_and_the_label_on_the_one_that_serves() -> None:
    model = parsed(State(serving=3, previous=2, candidate=4)).model_config_list.config[0]

    assert ("digits", "tensorflow") == (model.name, model.model_platform)
    assert [3, 4] == list(model.model_version_policy.specific.versions)
    assert {"stable": 3} == dict(model.version_labels)


def test_a_base_path_with_quotes_and_backslashes_survives() -> None:
    path = '/a "strange"\\folder'

    assert path == parsed(State(serving=1), base_path=path).model_config_list.config[0].base_path


def test_a_config_says_which_entry_it_renders() -> None:
    assert 12 == rendered_entry(render(model="m", base_path="/b", state=State(), seq=12))
    assert rendered_entry("model_config_list {}") is None


def test_a_config_says_which_roll_out_it_is_for() -> None:
    pinned, latest = (
        render(model="m", base_path="/b", state=State(), seq=12),
        render_latest(model="m", base_path="/b", seq=12),
    )

    assert ("pinned", "latest") == (rollout_of(pinned), rollout_of(latest))
    assert (None, None) == (unknown_format(pinned), unknown_format(latest))


def test_a_config_of_a_newer_version_is_for_neither_roll_out() -> None:
    newer = "# journal entry 12, roll-out rings\nmodel_config_list {}\n"

    assert (12, None) == (rendered_entry(newer), rollout_of(newer))
    assert "roll-out rings" == unknown_format(newer)
    assert unknown_format("# journal entry 12 edited by ann\n") is None
