"""Which addresses accept connections."""

import socket

from serving.fleet.reachable import accepts_connections, reachable
from tests.ports import free_port


def test_only_addresses_where_a_process_listens_are_reachable_in_their_order() -> None:
    with socket.create_server(("127.0.0.1", 0)) as one, socket.create_server(("127.0.0.1", 0)) as two:
        up = [f"127.0.0.1:{each.getsockname()[1]}" for each in (two, one)]
        down = f"127.0.0.1:{free_port()}"

        assert tuple(up) == reachable([up[0], down, up[1]], timeout=5.0)


def test_many_addresses_are_tested_with_few_threads() -> None:
    with socket.create_server(("127.0.0.1", 0), backlog=500) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"

        assert (address,) * 300 == reachable([address] * 300, timeout=5.0, threads=4)


def test_no_address_is_none() -> None:
    assert () == reachable([])


def test_a_name_that_does_not_exist_is_not_reachable() -> None:
    assert not accepts_connections("no-such-name.invalid:8500", timeout=1.0)


def test_ipv6_is_written_in_brackets() -> None:
    if not socket.has_ipv6:
        return
    with socket.create_server(("::1", 0), family=socket.AF_INET6) as server:
        assert accepts_connections(f"[::1]:{server.getsockname()[1]}", timeout=5.0)
