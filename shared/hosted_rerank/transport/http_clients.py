"""Makes the httpx clients of the process: certificates, proxies of the environment, no cookies, one connection each.

httpx' own pool looks at every connection for each request, which takes seconds of CPU with 500 connections. A client
with one connection has nothing to look at, and `client_pool` keeps the free ones in a stack.
"""

import os
import ssl
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from http.cookiejar import CookieJar, DefaultCookiePolicy
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import urlsplit

from hosted_rerank.errors import ConfigurationError
from hosted_rerank.wire import LOOPBACK, USER_AGENT

if TYPE_CHECKING:
    import httpx

C = TypeVar("C")

KEEP_ALIVE = 90.0
"""Seconds that an idle connection is kept. Users pause for a minute, and a new connection costs several round trips."""

_PROXIES = ("HTTPS_PROXY", "HTTP_PROXY", "ALL_PROXY")


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

    settings: dict[str, Any] = {
        "verify": _tls_context(),
        "limits": httpx.Limits(max_connections=1, max_keepalive_connections=1, keepalive_expiry=KEEP_ALIVE),
        "headers": {"user-agent": USER_AGENT},
        "cookies": CookieJar(DefaultCookiePolicy(allowed_domains=())),  # an account's cookies must not reach another's
        "follow_redirects": False,
    }
    # A key that goes to this machine must not leave it by a proxy.
    trust_env = urlsplit(url).hostname not in LOOPBACK
    try:
        return kind(**settings, trust_env=trust_env)
    except (ImportError, ValueError, httpx.InvalidURL) as problem:
        raise _proxy_error(problem) from None


def _proxy_error(problem: Exception) -> ConfigurationError:
    """Returns the error for a proxy setting, with the name of its variable and without its address' password."""
    import httpx  # noqa: PLC0415 - as above

    for name in (variable for proxy in _PROXIES for variable in (proxy.lower(), proxy)):
        value = os.environ.get(name, "")
        try:
            httpx.Client(proxy=value if "://" in value else f"http://{value}", verify=_tls_context()).close()
        except ImportError:
            return ConfigurationError(f"{name} names a SOCKS proxy, which needs socksio: pip install 'httpx[socks]'")
        except (ValueError, httpx.InvalidURL):
            if value:
                return ConfigurationError(
                    f"{name} is not the address of a proxy: it must be like http://host:8080, with http, https, socks5"
                    " or socks5h, and a port that is a number"
                )
    return ConfigurationError(f"the proxy settings of this system cannot be used ({type(problem).__name__})")


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
def _certificates(file: str | None, folder: str | None) -> Iterator[None]:
    if file and not Path(file).is_file():
        raise ConfigurationError(f"SSL_CERT_FILE names {file}, which is not a file: correct it or unset it")
    if folder and not Path(folder).is_dir():
        raise ConfigurationError(f"SSL_CERT_DIR names {folder}, which is not a folder: correct it or unset it")
    try:
        yield
    except (OSError, ssl.SSLError) as problem:
        name, value = ("SSL_CERT_FILE", file) if file else ("SSL_CERT_DIR", folder)
        raise ConfigurationError(f"{name} names {value}, which holds no certificates ({problem.args[-1]})") from None
