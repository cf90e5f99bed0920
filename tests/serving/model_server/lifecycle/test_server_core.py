import re
import threading
from typing import Any

import pytest
from grpc import StatusCode

from serving.apis import model_pb2, model_server_config_pb2
from serving.model_server.config_file import ConfigFile, read_config
from serving.status import (
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    StatusError,
)
from tests.serving.model_server.conftest import MakeWorld
from tests.serving.model_server.world import World, config, eventually

STABLE = model_pb2.ModelSpec(name="m", version_label="stable")
REFUSED = "Request to assign label to version {} of model m, which is not currently available for inference"


def running(world: World, first: Any) -> World:
    world.core.reload(first)
    eventually(lambda: set(world.states().values()) == {"AVAILABLE"})
    return world


def test_a_label_given_after_the_version_is_available_answers(world: World) -> None:
    world.add(1)
    running(world, config(world.base, versions=[1]))
    world.core.reload(config(world.base, versions=[1], stable=1))

    assert world.answering(STABLE) == 1


@pytest.mark.parametrize("allow", [False, True])
def test_a_config_that_adds_a_version_and_moves_a_label_to_it_is_refused(make_world: MakeWorld, *, allow: bool) -> None:
    """With either setting of the flag: it permits only labels that point nowhere else. The version is not added."""
    world = make_world(allow_labels_for_unavailable=allow)
    world.add(1, 2)
    running(world, config(world.base, versions=[1]))
    world.core.reload(config(world.base, versions=[1], stable=1))
    with pytest.raises(FailedPreconditionError, match=REFUSED.format(2)):
        world.core.reload(config(world.base, versions=[1, 2], stable=2))
    world.source.poll()

    assert world.answering(STABLE) == 1
    assert world.states() == {1: "AVAILABLE"}


def test_a_new_label_on_an_unavailable_version_needs_the_flag(make_world: MakeWorld) -> None:
    strict = make_world()
    strict.add(1)
    with pytest.raises(FailedPreconditionError, match=REFUSED.format(1)):
        strict.core.reload(config(strict.base, versions=[1], stable=1))
    lenient = make_world(allow_labels_for_unavailable=True)
    lenient.core.reload(config(lenient.base, versions=[1], stable=1))

    assert lenient.answering(STABLE) == 1


def test_a_replica_that_slept_through_the_expose_refuses_until_it_is_healed(make_world: MakeWorld) -> None:
    """It read {1,2} stable=2 and next polls {2,3} stable=3: refused at every poll until a request adds 3 alone."""
    world = make_world(allow_labels_for_unavailable=True)
    world.add(1, 2, 3)
    running(world, config(world.base, versions=[1, 2], stable=2))
    file = world.base.parent / "m.config"
    file.write_text(str(config(world.base, versions=[2, 3], stable=3)))
    polled = ConfigFile(str(file), world.core)
    for _ in range(3):
        polled.apply()
        world.source.poll()
    assert world.answering(STABLE) == 2
    assert world.states() == {2: "AVAILABLE", 1: "AVAILABLE"}

    world.core.reload(config(world.base, versions=[2, 3], stable=2))
    polled.apply()
    eventually(lambda: world.states().get(3) == "AVAILABLE")
    polled.apply()

    assert world.answering(STABLE) == 3
    eventually(lambda: world.states() == {3: "AVAILABLE", 2: "AVAILABLE", 1: "END"})


def test_unknown_labels_and_nameless_specs_are_invalid(world: World) -> None:
    world.add(1)
    running(world, config(world.base))

    with pytest.raises(InvalidArgumentError, match="Unrecognized servable version label: stable"):
        world.answering(STABLE)
    with pytest.raises(InvalidArgumentError, match=r"ModelSpec has no name specified\."):
        world.answering(model_pb2.ModelSpec())


def test_a_label_of_a_version_not_loaded_yet_answers_not_found(make_world: MakeWorld) -> None:
    world = make_world(allow_labels_for_unavailable=True)
    world.add(2)
    world.core.reload(config(world.base, versions=[1, 2], stable=1))

    with pytest.raises(NotFoundError, match=r"Servable not found for request: Specific\(m, 1\)"):
        world.answering(STABLE)


def test_an_empty_list_starts_at_once_and_later_unloads_everything(world: World) -> None:
    nothing = model_server_config_pb2.ModelServerConfig(model_config_list={})
    world.core.reload(nothing)
    world.add(1)
    running(world, config(world.base))
    world.core.reload(nothing)

    eventually(lambda: world.states() == {1: "END"})


def test_start_waits_for_a_model_without_a_version(world: World) -> None:
    start = threading.Thread(target=world.core.reload, args=[config(world.base)], daemon=True)
    start.start()
    start.join(0.5)
    assert start.is_alive()
    world.add(1)
    start.join(10)

    assert not start.is_alive()
    assert world.states() == {1: "AVAILABLE"}


def test_start_fails_with_upstream_s_words_when_the_highest_version_is_broken(world: World) -> None:
    world.add(1)
    world.add(2, broken=True)
    with pytest.raises(StatusError) as failure:
        world.core.reload(config(world.base))

    expected = (
        "UNKNOWN: 1 servable(s) did not become available: "
        f"{{{{{{name: m version: 2}} due to error: NOT_FOUND: no model in {world.base}/2}}, }}"
    )
    assert expected == str(failure.value)


def test_a_reload_waits_for_a_new_model_but_not_for_a_new_version(world: World) -> None:
    world.shelf.gates[2] = threading.Event()
    world.shelf.gates[5] = threading.Event()
    world.add(1, 2)
    running(world, config(world.base, versions=[1]))
    world.core.reload(config(world.base, versions=[1, 2]))
    other = world.base.parent / "other"
    (other / "5").mkdir(parents=True)
    (other / "5" / "factor").write_text("5")
    both = config(world.base, versions=[1, 2])
    both.MergeFrom(config(other, name="other"))
    reload = threading.Thread(target=world.core.reload, args=[both], daemon=True)
    reload.start()
    reload.join(0.5)
    assert reload.is_alive()
    for gate in world.shelf.gates.values():
        gate.set()
    reload.join(10)

    assert not reload.is_alive()
    assert world.states("other") == {5: "AVAILABLE"}


def test_a_new_model_that_fails_is_told_in_the_words_of_a_reload(world: World) -> None:
    world.core.reload(model_server_config_pb2.ModelServerConfig(model_config_list={}))
    world.add(1, broken=True)

    with pytest.raises(StatusError, match=r"1 model\(s\) did not become available: \{\{\{name: m version: 1\} due to"):
        world.core.reload(config(world.base))


def without_platform(base: Any) -> Any:
    whole = config(base)
    whole.model_config_list.config[0].model_platform = ""
    return whole


def twice(base: Any) -> Any:
    whole = config(base)
    whole.MergeFrom(config(base))
    return whole


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda _: config("relative/path"), "Expected model m to have an absolute path or URI"),
        (twice, "Illegal to list model m multiple times in config list"),
        (without_platform, "Illegal setting neither ModelServerConfig::model_type"),
    ],
)
def test_configs_that_cannot_be(world: World, make: Any, message: str) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        world.core.reload(make(world.base))


def test_the_platform_of_a_model_cannot_change(world: World) -> None:
    world.add(1)
    running(world, config(world.base))
    changed = config(world.base)
    changed.model_config_list.config[0].model_platform = "other"

    with pytest.raises(InvalidArgumentError, match="Illegal to change a model's platform"):
        world.core.reload(changed)


def test_a_config_file_that_goes_bad_keeps_the_config_and_complains_once(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    world.add(1)
    file = world.base.parent / "m.config"
    file.write_text(str(config(world.base)))
    polled = ConfigFile(str(file), world.core)
    polled.apply()
    file.write_text("model_config_list { oops")
    polled.apply()
    polled.apply()
    file.unlink()
    polled.apply()

    eventually(lambda: world.states() == {1: "AVAILABLE"})
    complaints = [line for line in caplog.messages if "is not in force" in line]
    assert [line.split(": ")[1] for line in complaints] == ["INVALID_ARGUMENT", "NOT_FOUND"]
    assert "(Error parsing text-format tensorflow.serving.ModelServerConfig: 1:21: " in complaints[0]


def test_a_config_file_may_hold_an_empty_list(world: World) -> None:
    file = world.base.parent / "m.config"
    file.write_text("model_config_list {}")

    assert read_config(str(file)).WhichOneof("config") == "model_config_list"


CUSTOM = {"custom_model_config": {"type_url": "type.googleapis.com/x"}}


def custom() -> Any:
    return model_server_config_pb2.ModelServerConfig(**CUSTOM)


def test_a_model_that_was_unloaded_can_come_back(world: World) -> None:
    """It is awaited anew: that the same version ended before does not count."""
    world.add(1)
    running(world, config(world.base))
    world.core.reload(model_server_config_pb2.ModelServerConfig(model_config_list={}))
    eventually(lambda: world.states() == {1: "END"})
    world.core.reload(config(world.base))

    assert world.states() == {1: "AVAILABLE"}


def test_another_base_path_changes_versions_but_not_one_that_is_loaded(world: World) -> None:
    """A number that is served stays what it is, whatever the new path holds under it."""
    world.add(1)
    running(world, config(world.base))
    other = world.base.parent / "other"
    for version in (1, 2):
        (other / str(version)).mkdir(parents=True)
        (other / str(version) / "factor").write_text("7")
    world.core.reload(config(other, versions=[1, 2]))
    eventually(lambda: world.states() == {2: "AVAILABLE", 1: "AVAILABLE"})
    assert [world.shelf.models[version].factor for version in (1, 2)] == [1, 7]
    world.core.reload(config(world.base))

    eventually(lambda: world.states() == {2: "END", 1: "AVAILABLE"})


def test_a_list_cannot_become_a_custom_config(world: World) -> None:
    world.add(1)
    running(world, config(world.base))

    with pytest.raises(FailedPreconditionError, match="Cannot transition to requested config"):
        world.core.reload(custom())
    assert world.states() == {1: "AVAILABLE"}


def test_a_custom_config_is_not_supported_and_no_list_may_follow_it(world: World) -> None:
    for _ in range(2):
        with pytest.raises(InvalidArgumentError, match="does not yet support custom model config"):
            world.core.reload(custom())

    with pytest.raises(FailedPreconditionError, match="Cannot transition to requested config"):
        world.core.reload(config(world.base))


def test_a_config_without_content_changes_nothing_and_anything_may_follow_it(world: World) -> None:
    nothing = model_server_config_pb2.ModelServerConfig()
    world.add(1)
    world.core.reload(nothing)
    world.core.reload(config(world.base))
    with pytest.raises(FailedPreconditionError, match="Cannot transition to requested config"):
        world.core.reload(nothing)

    assert world.states() == {1: "AVAILABLE"}


def changed(base: Any, **fields: Any) -> Any:
    whole = config(base)
    for name, value in fields.items():
        setattr(whole.model_config_list.config[0], name, value)
    return whole


@pytest.mark.parametrize(
    ("fields", "message"),
    [
        ({"model_type": 1}, r"Illegal setting both .* model name is m"),
        ({"model_type": 2, "model_platform": ""}, r"ModelServerConfig::model_type choice 2 not supported\."),
        ({"model_platform": "caffe"}, "Model m requests unsupported platform caffe"),
    ],
)
def test_platforms_that_cannot_be_served(world: World, fields: dict[str, Any], message: str) -> None:
    world.add(1)
    with pytest.raises(InvalidArgumentError, match=message):
        world.core.reload(changed(world.base, **fields))

    assert world.states() == {}


def test_the_deprecated_way_to_say_tensorflow_still_works(world: World) -> None:
    world.add(1)
    world.core.reload(changed(world.base, model_type=1, model_platform=""))

    assert world.states() == {1: "AVAILABLE"}


def test_a_config_refused_for_its_labels_counts_as_the_one_before_the_next(world: World) -> None:
    """Only its labels and versions are not taken over: the next config is compared with it."""
    world.add(1)
    running(world, config(world.base))
    refused = config(world.base, stable=9)
    refused.MergeFrom(changed("/elsewhere", name="other", model_platform="caffe"))
    with pytest.raises(FailedPreconditionError, match=REFUSED.format(9)):
        world.core.reload(refused)
    both = config(world.base)
    both.MergeFrom(config("/elsewhere", name="other"))

    with pytest.raises(InvalidArgumentError, match="For model other platform was caffe and new platform requested is"):
        world.core.reload(both)


def test_models_that_fail_together_are_listed_in_the_order_of_their_names(world: World) -> None:
    world.add(1, broken=True)
    names = ["n", "a", "m", "b"]
    whole = config(world.base, name=names[0])
    for name in names[1:]:
        whole.MergeFrom(config(world.base, name=name))
    with pytest.raises(StatusError, match=r"4 servable\(s\) did not become available") as failure:
        world.core.reload(whole)

    assert sorted(names) == re.findall(r"name: (\w) version", failure.value.message)


def test_a_label_can_point_where_it_points_although_that_version_is_gone(make_world: MakeWorld) -> None:
    """With the flag; without it every config with the label is refused until the label moves or goes."""
    world = make_world(allow_labels_for_unavailable=True)
    world.add(1, 2)
    running(world, config(world.base, versions=[1, 2], stable=1))
    world.core.reload(config(world.base, versions=[2], stable=1))
    eventually(lambda: world.states() == {2: "AVAILABLE", 1: "END"})

    with pytest.raises(NotFoundError, match=r"Servable not found for request: Specific\(m, 1\)"):
        world.answering(STABLE)


def test_labels_that_a_config_leaves_out_are_forgotten(world: World) -> None:
    world.add(1)
    running(world, config(world.base, versions=[1]))
    world.core.reload(config(world.base, versions=[1], stable=1))
    world.core.reload(config(world.base, versions=[1]))

    with pytest.raises(InvalidArgumentError, match="Unrecognized servable version label: stable"):
        world.answering(STABLE)


def test_before_the_first_config_a_label_is_unavailable_rather_than_unknown(world: World) -> None:
    with pytest.raises(StatusError, match="Model labels does not init yet") as failure:
        world.answering(STABLE)

    assert failure.value.code is StatusCode.UNAVAILABLE
