"""What a measurement says of itself, and how it is shown."""

import csv
import io
import json
import math
from dataclasses import replace

from rich.console import Console

from pipeline.profiling.latencies import Latencies
from pipeline.profiling.measurement import Batching, Loop, Point, measured
from pipeline.profiling.table import table, write_csv
from tests.pipeline.profiling.points import closed, opened


def test_throughput_counts_answered_images() -> None:
    found = closed(batch=8, clients=2, images_per_second=800.0)

    assert (100.0, 800.0) == (found.requests_per_second, found.images_per_second)


def test_a_point_is_beyond_the_limit_by_its_p99_or_by_more_than_one_error_in_a_hundred() -> None:
    assert not closed(p99=1.0).is_beyond(1.0)
    assert closed(p99=1.01).is_beyond(1.0)
    assert not closed(errors=10).is_beyond(10.0)
    assert closed(errors=11).is_beyond(10.0)


def test_a_point_without_an_answer_is_beyond_any_limit() -> None:
    point = Point(batching=Batching.OFF, loop=Loop.CLOSED, batch=1, concurrency=1)
    nothing = measured(point, Latencies(), seconds=1.0, errors={"UNAVAILABLE": 3})

    assert nothing.is_beyond(1000.0)
    assert math.isnan(nothing.p50)


def test_the_generator_kept_up_if_one_request_of_a_hundred_was_late() -> None:
    assert opened(rate=100, p99=0.1, late=10).generator_kept_up
    assert not opened(rate=100, p99=0.1, late=11).generator_kept_up


def test_json_has_no_nan() -> None:
    point = Point(batching=Batching.OFF, loop=Loop.OPEN, batch=1, rate=5.0)
    nothing = measured(point, Latencies(), seconds=1.0, errors={"UNAVAILABLE": 5})
    read = json.loads(json.dumps(nothing.as_json(), allow_nan=False))

    assert (None, {"UNAVAILABLE": 5}, "open", 5.0) == (read["p50"], read["errors"], read["loop"], read["rate"])


def test_csv_has_a_row_for_each_point() -> None:
    file = io.StringIO()
    write_csv([closed(batch=4), opened(rate=20, p99=0.25, late=150)], file)
    first, second = csv.DictReader(io.StringIO(file.getvalue()))

    assert ("closed", "4", "100.0") == (first["loop"], first["batch"], first["images_per_second"])
    assert ("open", "20", "0.25", "False") == (
        second["loop"],
        second["rate"],
        second["p99"],
        second["generator_kept_up"],
    )


def test_the_table_marks_what_a_reader_must_know() -> None:
    failing = replace(closed(p99=2.0), errors={"QUEUE_FULL": 7, "DEADLINE_EXCEEDED": 1})
    console = Console(file=io.StringIO(), width=200, record=True)
    console.print(table([failing, opened(rate=50, p99=0.01, late=50)], title="digits", latency_limit=1.0))
    text = console.export_text()

    assert "DEADLINE_EXCEEDED 1; QUEUE_FULL 7; over the limit" in text
    assert "generator late: 50 of 500" in text
    assert "2000" in text
