"""Who may call the local server: no web page of another site, also not by a name that points to this machine."""

from collections.abc import Mapping
from urllib.parse import urlsplit

from hosted_rerank.providers.url import is_private_host
from hosted_rerank.wire import LOOPBACK

_ALL_ADDRESSES = ("0.0.0.0", "::")  # noqa: S104 - compared, not bound


def is_foreign(headers: Mapping[str, str], bound: str, address: str) -> bool:
    """Returns whether the `Host` or the `Origin` of a request is not a name of this server.

    Args:
        headers: The headers of the request.
        bound: The address that the server listens on; names of a private network are its own if it listens on all.
        address: The address that the connection came to.
    """
    origin = headers.get("origin")
    hosts = [urlsplit(f"//{headers.get('host', '')}"), *([] if origin is None else [urlsplit(origin)])]
    return not all(_is_own(host.hostname or "", bound, address) for host in hosts)


def _is_own(name: str, bound: str, address: str) -> bool:
    return name in (*LOOPBACK, bound, address) or (bound in _ALL_ADDRESSES and is_private_host(name))
