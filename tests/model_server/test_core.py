import threading
from typing import Any

import pytest

from serving.apis import model_pb2, model_server_config_pb2
from serving.model_server.config_file import ConfigFile, read_config
from serving.model_server.status import FailedPreconditionError, InvalidArgumentError, NotFoundError, StatusError
from tests.model_server.conftest import MakeWorld
from tests.model_server.world import World, config, eventually

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
        (lambda _: config("relative/path"), "Expected model m to have an absolute path or URI"),  # type: ignore[arg-type]
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


def test_a_config_file_may_hold_an_empty_list(world: World) -> None:
    file = world.base.parent / "m.config"
    file.write_text("model_config_list {}")

    assert read_config(str(file)).WhichOneof("config") == "model_config_list"
