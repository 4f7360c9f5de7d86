"""Makes the httpx clients of the process: certificates, proxies of the environment, no cookies, one connection each.

httpx' own pool looks at every connection for each request, which takes seconds of CPU with 500 connections. A client
with one connection has nothing to look at, and `client_pool` keeps the free ones in a stack.
"""

import os
import ssl
from collections.abc import Callable, Generator
from contextlib import contextmanager
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit

from hosted_rerank.errors import ConfigurationError
from hosted_rerank.providers.url import is_private_host
from hosted_rerank.transport.httpx_exchange import HEADERS
from hosted_rerank.wire import LOOPBACK

if TYPE_CHECKING:
    import httpx

C = TypeVar("C")

KEEP_ALIVE = 90.0
"""Seconds that an idle connection is kept. Users pause for a minute, and a new connection costs several round trips."""

_PROXY_VARIABLES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")
_PROXY_SCHEMES = ("http", "https", "socks5", "socks5h")
_LIKE = f"it must be like http://host:8080, with a host, a port up to 65535 and one of {', '.join(_PROXY_SCHEMES)}"


def make_client(url: str) -> "httpx.Client":
    """Returns a client of one connection for requests to the host of `url`.

    Raises:
        ConfigurationError: A proxy or certificate setting of the environment is wrong.
    """
    import httpx  # noqa: PLC0415 - takes 60 ms, and a program that imports us may never rerank

    return _make(httpx.Client, url)


def make_async_client(url: str) -> "httpx.AsyncClient":
    """Returns an awaiting client of one connection for requests to the host of `url`.

    Raises:
        ConfigurationError: A proxy or certificate setting of the environment is wrong.
    """
    import httpx  # noqa: PLC0415 - as above

    return _make(httpx.AsyncClient, url)


def _make(kind: Callable[..., C], url: str) -> C:
    import httpx  # noqa: PLC0415 - as above

    trust_env = _may_use_proxy(url)
    proxies = _proxies() if trust_env else {}
    needs_tls = url.startswith("https:") or "https" in proxies.values()
    context = _tls_context() if needs_tls else _trusts_nothing()
    try:
        return kind(
            verify=context,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_ALIVE),
            headers=HEADERS,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),  # cookies must not reach another account
            follow_redirects=False,
            trust_env=trust_env,
        )
    except ImportError:
        name, scheme = next((pair for pair in proxies.items() if pair[1].startswith("socks")), ("ALL_PROXY", "socks5"))
        problem = f"{name} names a {scheme} proxy, which needs socksio: pip install 'httpx[socks]'"
        raise ConfigurationError(problem) from None
    except (ValueError, httpx.InvalidURL) as error:
        names = [*proxies, *(name for name in ("NO_PROXY", "no_proxy") if os.environ.get(name))]
        source = f"of {', '.join(names)}" if names else "of this system"
        problem = f"the proxy settings {source} cannot be used ({type(error).__name__}): correct or unset them"
        raise ConfigurationError(problem) from None


def _may_use_proxy(url: str) -> bool:
    """Returns whether a proxy may carry requests: a key in plain http, to a private host, must not go to one."""
    target = urlsplit(url)
    host = target.hostname or ""
    return host not in LOOPBACK and not (target.scheme == "http" and is_private_host(host))


def proxy_variables(url: str) -> str:
    """Returns the names of the environment's variables whose proxies may carry requests to a URL, for messages."""
    return " or ".join(_proxies()) if _may_use_proxy(url) else ""


def _proxies() -> dict[str, str]:
    """Returns the scheme of each proxy that the environment names, by the name of its variable.

    Raises:
        ConfigurationError: One of them is not the address of a proxy. The message does not show its password.
    """
    found: dict[str, str] = {}
    for name in (*_PROXY_VARIABLES, *map(str.lower, _PROXY_VARIABLES)):
        value = os.environ.get(name, "")
        if not value:
            continue
        try:
            proxy = urlsplit(value if "://" in value else f"http://{value}")
            wrong = proxy.port == 0 or not proxy.hostname or proxy.scheme not in _PROXY_SCHEMES
            if value.strip() != value:
                raise ValueError  # noqa: TRY301 - httpx refuses it without the name of the variable
        except ValueError:  # the port is not a number, or too large
            raise ConfigurationError(f"{name} is not the address of a proxy: {_LIKE}") from None
        if wrong:
            raise ConfigurationError(f"{name} names a proxy of the scheme {proxy.scheme!r}: {_LIKE}")
        found[name] = proxy.scheme
    return found


@cache
def _trusts_nothing() -> ssl.SSLContext:
    """Returns the context of clients that never speak TLS; loading certificates takes 20 to 90 ms."""
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _tls_context() -> ssl.SSLContext:
    """Returns the TLS context, which trusts what httpx trusts: certifi, `SSL_CERT_FILE` or `SSL_CERT_DIR`.

    Raises:
        ConfigurationError: One of the variables names no file or folder of certificates.
    """
    return _load_tls_context(os.environ.get("SSL_CERT_FILE"), os.environ.get("SSL_CERT_DIR"))


@cache
def _load_tls_context(file: str | None, folder: str | None) -> ssl.SSLContext:
    import httpx  # noqa: PLC0415 - as above

    with _certificates(file, folder):
        return httpx.create_ssl_context()


@contextmanager
def _certificates(file: str | None, folder: str | None) -> Generator[None]:
    if file and not Path(file).is_file():
        raise ConfigurationError(f"SSL_CERT_FILE names {file}, which is not a file: correct it or unset it")
    if folder and not Path(folder).is_dir():
        raise ConfigurationError(f"SSL_CERT_DIR names {folder}, which is not a folder: correct it or unset it")
    try:
        yield
    except (OSError, ssl.SSLError) as problem:
        name, value = ("SSL_CERT_FILE", file) if file else ("SSL_CERT_DIR", folder)
        raise ConfigurationError(f"{name} names {value}, which holds no certificates ({problem.args[-1]})") from None
