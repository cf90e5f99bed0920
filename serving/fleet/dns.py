"""`dns://name:port`: every address of a DNS name, as a headless Service of Kubernetes has them.

`dns://server/name:port` asks that DNS server instead of those of /etc/resolv.conf.
"""

import re
import time
from dataclasses import dataclass
from ipaddress import ip_address
from typing import TYPE_CHECKING

from serving.errors import DiscoveryError

if TYPE_CHECKING:
    from dns.exception import DNSException
    from dns.resolver import Answer, Resolver

SCHEME = "dns"

_DNS_PORT = 53
# Of one look-up, with all its questions, servers and search domains.
_TOTAL_SECONDS = 2.0
# After that another server is asked, or the same one again, because a datagram may get lost.
_TRY_SECONDS = 1.0
_LABEL = re.compile(r"[A-Za-z0-9_]([A-Za-z0-9_-]{0,61}[A-Za-z0-9_])?")
_SERVER = re.compile(r"\[(?P<v6>[^\[\]]+)\](:(?P<v6_port>[0-9]+))?|(?P<v4>[^:\[\]]+)(:(?P<v4_port>[0-9]+))?")
_FORM = "expected dns://name:port or dns://server/name:port"


@dataclass(frozen=True)
class DnsSource:
    """Every address of a name, of one address family; see `serving.fleet.source.Source`.

    Attributes:
        name: completed by the search domains of /etc/resolv.conf, unless a server is given or it ends with a dot.
        port: of every replica.
        server: the DNS server to ask, an IP address; None for those of /etc/resolv.conf.
        server_port: its port.
    """

    name: str
    port: int
    server: str | None = None
    server_port: int = _DNS_PORT

    @property
    def uri(self) -> str:
        return f"{SCHEME}://{self._authority}{self.name}:{self.port}"

    @property
    def size(self) -> int | None:
        return None

    def addresses(self) -> tuple[str, ...]:
        # Imported here, because it takes longer than all other imports of a client.
        from dns.exception import DNSException  # noqa: PLC0415

        try:
            found = self._look_up()
        except DNSException as error:
            raise DiscoveryError(f"{self.uri} could not be looked up: {_reason(error)}") from error
        ordered = sorted(map(ip_address, found))
        return tuple(f"[{each}]:{self.port}" if each.version == 6 else f"{each}:{self.port}" for each in ordered)

    def too_few(self, found: int) -> str:
        if not found:
            return (
                "The name does not exist, or has no addresses. Check its spelling, that its Service exists, and that "
                "the selector of the Service matches the pods"
            )
        virtual = (
            "A load balancer, or a Service with a ClusterIP, has a virtual address in front of several replicas, which "
            "cannot be asked one by one. Use a headless Service: `clusterIP: None`, `publishNotReadyAddresses: true`"
        )
        return virtual if found == 1 else f"Start the replicas that are missing. {virtual}"

    @property
    def _authority(self) -> str:
        if self.server is None:
            return ""
        host = f"[{self.server}]" if ":" in self.server else self.server
        return f"{host}/" if self.server_port == _DNS_PORT else f"{host}:{self.server_port}/"

    def _look_up(self) -> set[str]:
        """The addresses of one family. Two families would list a replica with both twice."""
        from dns.resolver import NXDOMAIN  # noqa: PLC0415

        resolver, ends = self._resolver(), time.monotonic() + _TOTAL_SECONDS
        try:
            answer = resolver.resolve(
                self.name, "A", search=self.server is None, lifetime=_TOTAL_SECONDS, raise_on_no_answer=False
            )
            if not answer.rrset:
                left = max(0.0, ends - time.monotonic())
                answer = resolver.resolve(answer.qname, "AAAA", lifetime=left, raise_on_no_answer=False)
        except NXDOMAIN:
            return set()
        return _texts(answer)

    def _resolver(self) -> "Resolver":
        from dns.resolver import Resolver  # noqa: PLC0415

        resolver = Resolver(configure=self.server is None)  # without a cache
        if self.server is not None:
            resolver.nameservers, resolver.port = [self.server], self.server_port
        resolver.timeout = _TRY_SECONDS
        return resolver


def parse_dns(text: str) -> DnsSource:
    """A source from `name:port` or `server[:port]/name:port`.

    Raises:
        ValueError: the text is neither; says what is expected.
    """
    authority, _, target = text.rpartition("/")
    name, _, port = target.rpartition(":")
    _require_name(name, text)
    if not authority:  # `dns:///name:port`, as gRPC writes it, too
        return DnsSource(name, _port(port, text))
    server, server_port = _parse_server(authority, text)
    return DnsSource(name, _port(port, text), server, server_port)


def _require_name(name: str, text: str) -> None:
    if _is_ip_address(name.strip("[]")):
        raise ValueError(f"dns://{text}: {name} is an address, not a name. For fixed addresses use static://host:port")
    labels = name.removesuffix(".").split(".")
    if len(name) > 253 or not all(_LABEL.fullmatch(label) for label in labels):
        raise ValueError(f"dns://{text}: {name!r} is not a DNS name; {_FORM}")


def _parse_server(text: str, whole: str) -> tuple[str, int]:
    parts = _SERVER.fullmatch(text)
    server = (parts["v6"] or parts["v4"]) if parts else ""
    if not parts or not _is_ip_address(server):
        raise ValueError(f"dns://{whole}: the DNS server {text!r} is not an IP address with or without a port; {_FORM}")
    return server, _port(parts["v6_port"] or parts["v4_port"] or str(_DNS_PORT), whole)


def _port(text: str, whole: str) -> int:
    if not re.fullmatch("[0-9]{1,5}", text) or not 1 <= int(text) <= 65535:
        raise ValueError(f"dns://{whole}: {text!r} is not a port; {_FORM}")
    return int(text)


def _is_ip_address(text: str) -> bool:
    try:
        ip_address(text)
    except ValueError:
        return False
    return True


def _texts(answer: "Answer") -> set[str]:
    return {record.address for record in answer.rrset or ()}


def _reason(error: "DNSException") -> str:
    """What happened, and what to check."""
    from dns.resolver import NoResolverConfiguration  # noqa: PLC0415

    if isinstance(error, NoResolverConfiguration):
        return "/etc/resolv.conf names no DNS server. Name one there, or in the address: dns://server/name:port"
    failures = dict.fromkeys(_failure(*each) for each in error.kwargs.get("errors", ()))
    if not failures:
        return str(error)
    return f"{', '.join(failures)}. Check that DNS server, and that this machine can reach it"


def _failure(server: str, _tcp: bool, _port: int, problem: object, _response: object) -> str:
    from dns.exception import Timeout  # noqa: PLC0415

    where = server.partition(":")[2].replace("@", " port ")  # Do53:10.0.0.10@53
    if isinstance(problem, Timeout):
        return f"no answer from {where}"
    return f"{problem} from {where}"
