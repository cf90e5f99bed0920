"""When a connection is opened, shared and closed."""

import threading

import pytest

from serving.client.connections import Connections

A, B = "a:1", "b:1"


@pytest.fixture
def idle() -> threading.Event:
    return threading.Event()


@pytest.fixture
def connections(idle: threading.Event) -> Connections[list[str]]:
    """Connections are lists with an address: each is an object of its own."""
    made = Connections(lambda address: [address], idle)
    made.keep([A, B])
    return made


def test_requests_to_a_replica_share_a_connection(connections: Connections[list[str]]) -> None:
    first = connections.borrow(A)
    connections.give_back(first, broken=False)

    assert first.connection is connections.borrow(A).connection
    assert first.connection is not connections.borrow(B).connection


def test_a_connection_to_a_replica_that_has_gone_is_closed_after_its_last_request(
    connections: Connections[list[str]],
) -> None:
    loans = [connections.borrow(A), connections.borrow(A)]

    assert [] == connections.keep([B])
    assert [] == connections.give_back(loans[0], broken=False)
    assert [[A]] == connections.give_back(loans[1], broken=False)


def test_an_unused_connection_to_a_replica_that_has_gone_is_closed_at_once(connections: Connections[list[str]]) -> None:
    connections.give_back(connections.borrow(A), broken=False)

    assert [[A]] == connections.keep([B])


def test_a_connection_that_broke_is_replaced(connections: Connections[list[str]]) -> None:
    """Once, however many requests it broke under."""
    loans = [connections.borrow(A), connections.borrow(A)]
    assert [] == connections.give_back(loans[0], broken=True)
    new = connections.borrow(A)

    assert loans[0].connection is not new.connection
    assert [loans[1].connection] == connections.give_back(loans[1], broken=True)
    assert new.connection is connections.borrow(A).connection


def test_a_replica_that_left_the_list_after_it_was_picked_is_asked_over_a_connection_of_one_request(
    connections: Connections[list[str]],
) -> None:
    connections.keep([B])

    assert [[A]] == connections.give_back(connections.borrow(A), broken=False)


def test_closing_lets_requests_finish_and_no_other_begin(
    connections: Connections[list[str]], idle: threading.Event
) -> None:
    loan = connections.borrow(A)
    connections.give_back(connections.borrow(B), broken=False)

    assert [[B]] == connections.close()
    assert not idle.is_set()
    with pytest.raises(RuntimeError, match="the client is closed"):
        connections.borrow(A)
    assert [[A]] == connections.give_back(loan, broken=False)
    assert idle.is_set()


def test_closing_without_requests_is_done_at_once(connections: Connections[list[str]], idle: threading.Event) -> None:
    connections.close()

    assert idle.is_set()
