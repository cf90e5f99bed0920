from datetime import UTC, datetime

from embedded.demo.traffic import RecordedAnswer, Traffic, directly
from serving.fleet.fleet import parse_fleet

NOW = datetime(2026, 1, 2, 3, 0, tzinfo=UTC)


def test_an_answer_differs_if_another_version_gave_another_label_for_the_image() -> None:
    traffic = Traffic(directly(parse_fleet("127.0.0.1:9"), "digits", label=None), [b"one", b"two"])
    traffic.answers = [
        RecordedAnswer(NOW, 1, image=0, label="4"),
        RecordedAnswer(NOW, 1, image=1, label="7"),
        RecordedAnswer(NOW, 2, image=0, label="5"),
        RecordedAnswer(NOW, 2, image=1, label="7"),
    ]

    assert 1 == traffic.differing_answers(2, 1)
