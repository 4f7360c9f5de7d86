"""Proxies that others wrote, each in a process of its own on loopback; only they know where `rerank.test` is.

`python proxies.py http FILE USER:PASSWORD` runs proxy.py, `python proxies.py socks5 FILE USER:PASSWORD` runs
tiny-proxy, until it is killed; the port is written to FILE. Without a password, `-` stands for it.
"""

import socket
import sys
from pathlib import Path
from typing import Any

HOST = "rerank.test"
"""A name that no resolver knows: `.test` is reserved."""


def _resolve() -> None:
    real = socket.getaddrinfo

    def known(host: Any, *arguments: Any, **more: Any) -> Any:
        return real("127.0.0.1" if host in (HOST, HOST.encode()) else host, *arguments, **more)

    socket.getaddrinfo = known  # type: ignore[assignment]


def _http(file: Path, password: str) -> None:
    import proxy  # noqa: PLC0415 - each process needs one of them

    sys.argv[1:] = ["--hostname", "127.0.0.1", "--port", "0", "--port-file", str(file)]
    sys.argv += ["--threadless", "--num-workers", "1", "--num-acceptors", "1"]
    proxy.main(basic_auth=password or None)


def _socks5(file: Path, password: str) -> None:
    import anyio  # noqa: PLC0415
    from tiny_proxy import Socks5ProxyHandler  # noqa: PLC0415

    async def serve() -> None:
        listener = await anyio.create_tcp_listener(local_host="127.0.0.1", local_port=0)
        port = listener.extra(anyio.abc.SocketAttribute.local_port)
        file.with_suffix(".new").write_text(str(port))
        file.with_suffix(".new").rename(file)
        handler = Socks5ProxyHandler(*password.split(":")) if password else Socks5ProxyHandler()
        await listener.serve(handler.handle)

    anyio.run(serve)


if __name__ == "__main__":
    _resolve()
    {"http": _http, "socks5": _socks5}[sys.argv[1]](Path(sys.argv[2]), "" if sys.argv[3] == "-" else sys.argv[3])
