"""Read the address of a source.

- `static://host:port,host:port` is a fixed list; a list without a scheme is one too.
- `dns://name:port` is every address of a DNS name.
- `tsuru://app/process:port` is every unit of a process of a Tsuru app.
- `kubernetes://namespace/service:port` is every pod behind a Service, from the API of Kubernetes.
"""

from collections.abc import Callable, Mapping

from serving.fleet.dns import SCHEME as DNS
from serving.fleet.dns import parse_dns
from serving.fleet.kubernetes import SCHEME as KUBERNETES
from serving.fleet.kubernetes import parse_kubernetes
from serving.fleet.source import Source
from serving.fleet.static import SCHEME as STATIC
from serving.fleet.static import parse_static
from serving.fleet.tsuru import SCHEME as TSURU
from serving.fleet.tsuru import parse_tsuru

# What follows `scheme://` is parsed by these. A new kind of source is one line here and one module.
_PARSERS: Mapping[str, Callable[[str], Source]] = {
    STATIC: parse_static,
    DNS: parse_dns,
    TSURU: parse_tsuru,
    KUBERNETES: parse_kubernetes,
}


class UnknownSourceError(ValueError):
    """The scheme of a source is unknown: it was mistyped, or a newer version of Understudy knows it."""


def parse_source(text: str) -> Source:
    """The source that a person has written.

    Raises:
        UnknownSourceError: the scheme is unknown.
        ValueError: what follows the scheme is malformed; says what is expected.
    """
    scheme, separator, rest = text.strip().partition("://")
    if not separator:
        return parse_static(text)
    if scheme not in _PARSERS:
        known = ", ".join(f"{name}://" for name in _PARSERS)
        raise UnknownSourceError(f"{scheme}:// is not a known source of replicas. Known: {known}")
    return _PARSERS[scheme](rest)
