import pytest

from serving.model_server.lifecycle.availability_preserving_policy import Action, Phase, Snapshot, next_action

OLD_READY = Snapshot(1, Phase.READY, aspired=False)


@pytest.mark.parametrize(
    ("versions", "expected"),
    [
        pytest.param([], None, id="nothing to do"),
        pytest.param([OLD_READY], (Action.UNLOAD, 1), id="nothing aspired: unload"),
        pytest.param([OLD_READY, Snapshot(2, Phase.NEW, aspired=True)], (Action.LOAD, 2), id="load before unload"),
        pytest.param([OLD_READY, Snapshot(2, Phase.LOADING, aspired=True)], None, id="old waits for new"),
        pytest.param([OLD_READY, Snapshot(2, Phase.ERROR, aspired=True)], None, id="old survives a broken new one"),
        pytest.param([OLD_READY, Snapshot(2, Phase.READY, aspired=True)], (Action.UNLOAD, 1), id="then old goes"),
        pytest.param(
            [OLD_READY, Snapshot(2, Phase.READY, aspired=False), Snapshot(3, Phase.NEW, aspired=True)],
            (Action.UNLOAD, 1),
            id="one old version is enough",
        ),
        pytest.param(
            [Snapshot(2, Phase.NEW, aspired=True), Snapshot(3, Phase.NEW, aspired=True)],
            (Action.LOAD, 3),
            id="highest first",
        ),
        pytest.param(
            [OLD_READY, Snapshot(2, Phase.READY, aspired=True), Snapshot(3, Phase.LOADING, aspired=True)],
            (Action.UNLOAD, 1),
            id="old goes although another loads",
        ),
        pytest.param(
            [OLD_READY, Snapshot(2, Phase.READY, aspired=True), Snapshot(3, Phase.ERROR, aspired=True)],
            (Action.UNLOAD, 1),
            id="old goes although another failed",
        ),
        pytest.param(
            [OLD_READY, Snapshot(2, Phase.READY, aspired=True), Snapshot(3, Phase.NEW, aspired=True)],
            (Action.UNLOAD, 1),
            id="unload before load",
        ),
        pytest.param(
            [OLD_READY, Snapshot(2, Phase.READY, aspired=False)],
            (Action.UNLOAD, 1),
            id="lowest goes first",
        ),
        pytest.param(
            [Snapshot(1, Phase.READY, aspired=True), Snapshot(2, Phase.LOADING, aspired=True)],
            None,
            id="all is under way",
        ),
        pytest.param(
            [Snapshot(1, Phase.LOADING, aspired=False), Snapshot(2, Phase.UNLOADING, aspired=False)],
            None,
            id="only what is ready can be unloaded",
        ),
    ],
)
def test_next_action(versions: list[Snapshot], expected: tuple[Action, int] | None) -> None:
    assert expected == next_action(versions)
