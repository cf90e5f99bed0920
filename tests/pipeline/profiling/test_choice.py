"""Which batching parameters follow from measurements."""

from pathlib import Path

from pipeline.profiling.choice import Parameters, choose
from pipeline.profiling.measurement import Batching
from serving.model_server.batching.parameters import read_parameters
from tests.pipeline.profiling.points import closed, curve

# A server that runs 32 images at once as fast as any larger batch.
SATURATED = curve({1: 100.0, 8: 400.0, 32: 960.0, 256: 1000.0}, clients=(1, 2, 4))


def test_a_batch_grows_no_further_than_it_brings_images() -> None:
    """95 % of the best is enough."""
    chosen = choose(SATURATED, latency_limit=100.0, cpus=4).parameters

    assert chosen is not None
    assert (256, 32) == (chosen.max_batch_size, chosen.max_execution_batch_size)


def test_a_size_that_is_too_slow_is_not_chosen() -> None:
    """...although it brings the most."""
    slow = [closed(batch=256, clients=1, images_per_second=2000.0, p99=2.0)]
    chosen = choose([*SATURATED, *slow], latency_limit=1.0, cpus=4)

    assert chosen.parameters is not None
    assert 32 == chosen.parameters.max_execution_batch_size


def test_where_the_largest_is_the_best_no_request_is_split() -> None:
    chosen = choose(curve({1: 100.0, 64: 1000.0}), latency_limit=10.0, cpus=4).parameters

    assert chosen is not None
    assert (64, None) == (chosen.max_batch_size, chosen.max_execution_batch_size)


def test_a_request_waits_a_tenth_of_its_own_time_and_two_milliseconds_at_most() -> None:
    quick = choose(curve({1: 200.0, 2: 210.0}), latency_limit=1.0, cpus=4).parameters
    slow = choose(curve({1: 2.0, 2: 2.1}), latency_limit=10.0, cpus=4).parameters

    assert quick is not None
    assert slow is not None
    assert (500, 2000) == (quick.batch_timeout_micros, slow.batch_timeout_micros)


def test_threads_are_the_clients_at_which_more_brings_nothing() -> None:
    scaling = {1: 100.0, 2: 190.0, 4: 196.0}
    points = [
        closed(batch=batch, clients=clients, images_per_second=batch * rate)
        for batch in (1, 2)
        for clients, rate in scaling.items()
    ]
    many, one, unknown = (choose(points, latency_limit=10.0, cpus=cpus).parameters for cpus in (8, 1, None))

    assert many is not None
    assert one is not None
    assert unknown is not None
    assert (2, 1, 2) == (many.num_batch_threads, one.num_batch_threads, unknown.num_batch_threads)


def test_the_queue_is_what_is_worked_off_within_the_limit() -> None:
    """Two batches of 100 ms run at once, so a second is worth twenty."""
    points = [
        closed(batch=batch, clients=clients, images_per_second=clients * batch * 10, p50=0.1)
        for batch in (1, 2)
        for clients in (1, 2)
    ]
    chosen = choose(points, latency_limit=1.0, cpus=2)

    assert chosen.parameters is not None
    assert 20 == chosen.parameters.max_enqueued_batches
    assert any(
        "20: one of 2 takes 100 ms, so 2 at once work off that many in 1000 ms" in each for each in chosen.reasons
    )


def test_batching_is_on_where_it_brings_a_tenth_more() -> None:
    off = closed(clients=16, images_per_second=700.0, p50=0.02)
    on, hardly = (closed(clients=16, images_per_second=rate, p50=0.02, batching=Batching.ON) for rate in (771.0, 769.0))

    assert choose([off, on], latency_limit=1.0, cpus=2).batch is True
    assert choose([off, hardly], latency_limit=1.0, cpus=2).batch is False


def test_the_reason_has_the_numbers_of_both() -> None:
    off = closed(clients=16, images_per_second=700.0, p50=0.02)
    on = closed(clients=16, images_per_second=1400.0, p50=0.01, batching=Batching.ON)
    (first, *_) = choose([off, on], latency_limit=1.0, cpus=2).reasons

    assert first == (
        "switch batching on: requests of 1 image reached 1400 images/s with batching (16 clients, p99 15 ms) and 700 "
        "without (16 clients, p99 30 ms): 2.00 times"
    )


def test_one_server_says_nothing_about_the_other() -> None:
    points = curve({1: 100.0, 2: 150.0})

    assert choose(points, latency_limit=1.0, cpus=2).batch is None
    assert "were not compared" in choose(points, latency_limit=1.0, cpus=2).reasons[0]


def test_without_a_point_within_the_limit_there_is_no_choice() -> None:
    chosen = choose([closed(p99=2.0), closed(errors=50)], latency_limit=1.0, cpus=2)

    assert (None, None) == (chosen.batch, chosen.parameters)
    assert ("no point of the closed loop had a p99 within 1000 ms",) == chosen.reasons


def test_one_batch_size_is_too_few_for_parameters() -> None:
    chosen = choose([closed()], latency_limit=1.0, cpus=2)

    assert chosen.parameters is None
    assert "only one batch size was measured" in chosen.reasons[-1]


def test_the_server_reads_the_file_as_it_is_written(tmp_path: Path) -> None:
    parameters = Parameters(
        max_batch_size=256,
        max_execution_batch_size=32,
        batch_timeout_micros=200,
        num_batch_threads=3,
        max_enqueued_batches=39,
    )
    file = tmp_path / "batching.pbtxt"
    file.write_text(parameters.as_text())
    read = read_parameters(str(file))
    read.check()

    assert (256, 200, 3, 39) == (
        read.max_batch_size,
        read.batch_timeout_micros,
        read.num_batch_threads,
        read.max_enqueued_batches,
    )
    assert (True, 32) == (read.enable_large_batch_splitting, read.execution_limit)
