"""What the process says on standard error."""

import json
import logging

from serving.gateway.observation.process_log import JsonLines


def record(message: str, *arguments: object) -> logging.LogRecord:
    return logging.LogRecord("serving.x", logging.WARNING, __file__, 1, message, arguments, None)


def test_a_message_is_one_line_of_json_whatever_is_in_it() -> None:
    line = JsonLines().format(record("the name is %s", 'a\n{"level": "info"}'))

    assert 1 == len(line.splitlines())
    assert ("warning", "serving.x", 'the name is a\n{"level": "info"}') == tuple(
        json.loads(line)[name] for name in ("level", "logger", "message")
    )


def test_a_traceback_is_in_the_line_of_its_message() -> None:
    failed = record("it failed")
    try:
        raise ValueError("a reason")
    except ValueError as error:
        failed.exc_info = (type(error), error, error.__traceback__)

    line = JsonLines().format(failed)

    assert "ValueError: a reason" in json.loads(line)["traceback"]
    assert 1 == len(line.splitlines())
