from embedded.supervision.child_process import Backoff, describe_exit


def test_the_pause_doubles_up_to_a_limit_however_often_a_process_ends() -> None:
    assert [1, 2, 4, 8, 16, 30, 30] == [Backoff().pause(failures) for failures in range(1, 8)]
    assert 30 == Backoff().pause(100_000)


def test_an_exit_is_described_by_its_code_and_signal() -> None:
    assert ["exit code 0", "exit code 255", "exit code -9 (SIGKILL)", "exit code -99"] == [
        describe_exit(code) for code in (0, 255, -9, -99)
    ]
