"""Concurrent requests to one model, run together: what TensorFlow Serving's BatchingSession promises and refuses."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import pytest
from grpc import StatusCode

from serving.model_server.batching.model import BatchingModel
from serving.model_server.batching.parameters import BatchingParameters
from serving.model_server.batching.scheduler import Scheduler
from serving.model_server.metrics import server_metrics
from serving.status import InvalidArgumentError, StatusError
from serving.wire import Array
from tests.serving.model_server.batching.conftest import MakeClients
from tests.serving.model_server.batching.gated import Gated
from tests.serving.model_server.world import Times

LONG = 60_000_000


def rows_of(model: Gated) -> list[list[float]]:
    """The rows of every run."""
    return [run.tolist() for run in model.runs]


def test_requests_are_run_together_and_each_gets_its_own_rows(make_clients: MakeClients) -> None:
    clients = make_clients(max_batch_size=3, batch_timeout_micros=LONG)
    one, two = clients.ask_in_order([1])[0], clients.ask(2, 3)

    assert (one.result(30), two.result(30)) == ([[10]], [[20, 30]])
    assert rows_of(clients.inner) == [[1, 2, 3]]


def test_outputs_come_in_the_order_each_request_asks_for(make_clients: MakeClients) -> None:
    """The order is no part of what makes requests go together."""
    clients = make_clients(max_batch_size=2, batch_timeout_micros=LONG)
    one, two = clients.ask(1, fetches=["y:0", "z:0"]), clients.ask(2, fetches=["z:0", "y:0"])

    assert (one.result(30), two.result(30)) == ([[10], [-10]], [[-20], [20]])
    assert len(clients.inner.runs) == 1


def test_requests_for_other_outputs_are_another_batch(make_clients: MakeClients) -> None:
    clients = make_clients(max_batch_size=2, batch_timeout_micros=LONG)
    both = clients.ask(1, 2, fetches=["y:0", "z:0"])
    only = clients.ask(3, 4, fetches=["z:0"])

    assert (both.result(30), only.result(30)) == ([[10, 20], [-10, -20]], [[-30, -40]])
    assert sorted(rows_of(clients.inner)) == [[1, 2], [3, 4]]


def test_a_request_as_large_as_a_batch_is_neither_copied_nor_kept_waiting(make_clients: MakeClients) -> None:
    clients = make_clients(max_batch_size=2, batch_timeout_micros=LONG)
    array = np.array([1, 2], np.float32)
    clients.model.run({"x:0": array}, ["y:0"])

    assert clients.inner.runs[0] is array


def test_batches_are_padded_to_an_allowed_size_and_nobody_sees_it(make_clients: MakeClients) -> None:
    clients = make_clients(max_batch_size=8, allowed_batch_sizes=(4, 8))
    with clients.held() as first:
        others = clients.ask_in_order([2, 3], [4, 5, 6])

    assert [each.result(30) for each in (first, *others)] == [[[10]], [[20, 30]], [[40, 50, 60]]]
    assert rows_of(clients.inner) == [[1, 1, 1, 1], [2, 3, 4, 5, 6, 4, 4, 4]]


def test_a_request_without_rows_is_answered(make_clients: MakeClients) -> None:
    """Also where it would have to be padded."""
    clients = make_clients(max_batch_size=8, allowed_batch_sizes=(4, 8))

    assert clients.ask().result(30) == [[]]


def test_a_large_request_is_split_and_its_answer_put_together(make_clients: MakeClients) -> None:
    clients = make_clients(max_batch_size=10, enable_large_batch_splitting=True, max_execution_batch_size=2)

    assert clients.ask(1, 2, 3, 4, 5).result(30) == [[10, 20, 30, 40, 50]]
    assert rows_of(clients.inner) == [[1, 2], [3, 4], [5]]


def test_shapes_that_differ_hurt_the_whole_batch(make_clients: MakeClients) -> None:
    clients = make_clients(max_batch_size=2, batch_timeout_micros=LONG)
    asked = [clients.ask([1, 2]), clients.ask([3])]
    errors = [each.exception(30) for each in asked]

    assert [getattr(error, "code", None) for error in errors] == [StatusCode.FAILED_PRECONDITION] * 2
    assert errors[0] is not errors[1]


def test_variable_lengths_go_together_where_they_may_be_padded(make_clients: MakeClients) -> None:
    clients = make_clients(max_batch_size=2, batch_timeout_micros=LONG, pad_variable_length_inputs=True)
    one, two = clients.ask([1, 2]), clients.ask([3])

    assert (one.result(30), two.result(30)) == ([[[10, 20]]], [[[30, 30]]])


def test_a_request_that_is_too_large_is_refused_alone(make_clients: MakeClients) -> None:
    clients = make_clients(max_batch_size=2)
    error = clients.ask(1, 2, 3).exception(30)

    assert str(error) == "INVALID_ARGUMENT: Task size 3 is larger than maximum input batch size 2"
    assert clients.ask(1).result(30) == [[10]]


def test_a_full_queue_refuses(make_clients: MakeClients) -> None:
    clients = make_clients(max_batch_size=1, max_enqueued_batches=1)
    with clients.held():
        (waiting,) = clients.ask_in_order([2])
        error = clients.ask(3).exception(30)

    assert isinstance(error, StatusError)
    assert error.code is StatusCode.UNAVAILABLE
    assert error.message.startswith("The batch scheduling queue to which this task was submitted is full; currently 1")
    assert waiting.result(30) == [[20]]


def test_a_batch_whose_requests_all_waited_too_long_is_not_run(make_clients: MakeClients) -> None:
    clients = make_clients()
    with clients.held():
        asked = clients.ask_in_order([2], [3], timeout=0)
    errors = [str(each.exception(30)) for each in asked]

    assert errors == ["RESOURCE_EXHAUSTED: Run() timeout exceeded while waiting in batching queue"] * 2
    assert len(clients.inner.runs) == 1


def test_a_batch_may_run_as_long_as_its_most_patient_request(make_clients: MakeClients) -> None:
    """One that waited too long is answered with the others."""
    clients = make_clients()
    with clients.held():
        late = clients.ask_in_order([2], timeout=0)
        patient = clients.ask_in_order([3], timeout=300)
    assert [each.result(30) for each in late + patient] == [[[20]], [[30]]]
    with clients.held():
        timed = clients.ask_in_order([4], timeout=300)
        unlimited = clients.ask_in_order([5])
    assert [each.result(30) for each in timed + unlimited] == [[[40]], [[50]]]

    limits = clients.inner.timeouts
    assert limits[1] is not None
    assert 0 < limits[1] <= 300
    assert limits[3] is None


class Wayward(Times):
    """Outputs without rows, or a failure, whatever comes in."""

    def __init__(self, answer: Any) -> None:
        super().__init__(1)
        self.answer = answer

    def run(
        self, feeds: Mapping[str, Array], fetches: Sequence[str], *, timeout_seconds: float | None = None
    ) -> list[Array]:
        if isinstance(self.answer, Exception):
            raise self.answer
        return [self.answer]


@pytest.mark.parametrize("output", [np.array(1), np.zeros(5)])
def test_outputs_must_have_a_row_for_each_row_even_of_a_single_request(make_clients: MakeClients, output: Any) -> None:
    assert str(make_clients(Wayward(output)).ask(1).exception(30)).startswith("FAILED_PRECONDITION: Batched output")


def test_an_error_of_the_model_is_every_request_s(make_clients: MakeClients) -> None:
    clients = make_clients(Wayward(InvalidArgumentError("bad row")), max_batch_size=2, batch_timeout_micros=LONG)

    assert {str(clients_error.exception(30)) for clients_error in [clients.ask(1), clients.ask(2)]} == {
        "INVALID_ARGUMENT: bad row"
    }


def test_a_failure_nobody_foresaw_ends_the_requests_and_not_the_thread(make_clients: MakeClients) -> None:
    clients = make_clients(Wayward(ZeroDivisionError()), max_batch_size=2, batch_timeout_micros=LONG)
    for _ in range(2):
        errors = [each.exception(30) for each in [clients.ask(1), clients.ask(2)]]

        assert [type(error) for error in errors] == [RuntimeError] * 2


def test_closing_answers_what_waits_and_then_closes_the_model(make_clients: MakeClients) -> None:
    clients = make_clients(batch_timeout_micros=LONG)
    (waiting,) = clients.ask_in_order([1])
    clients.model.close()

    assert waiting.result(30) == [[10]]
    assert clients.inner.closed


def test_bad_parameters_are_refused_before_the_first_request() -> None:
    scheduler = Scheduler(threads=1, name="test")
    with pytest.raises(InvalidArgumentError):
        BatchingModel(Times(1), BatchingParameters(max_batch_size=0), scheduler)
    scheduler.stop()


def test_metrics_tell_of_requests_and_of_batches(make_clients: MakeClients) -> None:
    def seen() -> list[int]:
        return [
            server_metrics.queuing_latency.count(""),
            server_metrics.input_batch_size.count(),
            server_metrics.processed_batch_size.count(),
            server_metrics.padding_size.count("4"),
            server_metrics.wrapped_run_count.value(),
        ]

    clients = make_clients(max_batch_size=4, allowed_batch_sizes=(4,))
    before = seen()
    with clients.held():
        others = clients.ask_in_order([1], [2])
    for each in others:
        each.result(30)

    assert [after - count for after, count in zip(seen(), before, strict=True)] == [3, 3, 2, 2, 2]
