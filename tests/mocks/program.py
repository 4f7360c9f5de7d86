"""A program that reranks once, in a process of its own, whose environment names proxies and certificates."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from typing import Any, TypeAlias

from tests.bounded import patience
from tests.conftest import KEY

USER, PASSWORD = "ada", "s3cr3t-of-the-proxy"
NAMES = ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY", "SSL_CERT_FILE", "SSL_CERT_DIR")

Program: TypeAlias = Callable[..., dict[str, Any]]

RANKED = [2, 1, 0]
"""The indices that the program prints for three documents."""

CODE = """
import asyncio, json, logging, sys
asked = json.loads(sys.argv[1])
for name in asked["blocked"]:
    sys.modules[name] = None
import httpx
from hosted_rerank import Provider, RerankError, Reranker

async def awaiting(settings):
    if asked["whose"] == "custom":
        async with httpx.AsyncClient() as client:
            return await Reranker(row, **settings, async_client=client).arerank(*asked["call"])
    async with Reranker(row, **settings) as reranker:
        return await reranker.arerank(*asked["call"])

retries = []
class Retries(logging.Handler):
    def emit(self, record):
        retries.append(record.getMessage())
logging.getLogger("hosted_rerank").setLevel("INFO")
logging.getLogger("hosted_rerank").addHandler(Retries())

row = Provider(name="acme", url=asked["url"] + "/v1/rerank", allow_http=True)
told = {}
try:
    settings = {"api_key": asked["key"], "timeout": 10.0, **asked["settings"]}
    if asked["way"] == "awaiting":
        response = asyncio.run(awaiting(settings))
    elif asked["whose"] == "custom":
        with httpx.Client() as client:
            response = Reranker(row, **settings, client=client).rerank(*asked["call"])
    else:
        with Reranker(row, **settings) as reranker:
            response = reranker.rerank(*asked["call"])
    told["indices"] = [result.index for result in response.results]
    told["passed"] = None if response.error is None else type(response.error).__name__
except Exception as error:
    told["kinds"] = [kind.__name__ for kind in type(error).__mro__]
    told["message"], told["attempts"] = str(error), getattr(error, "attempts", None)
    chain = []
    while error is not None:
        chain.append(repr(error))
        error = error.__cause__ or error.__context__
    told["chain"] = chain
told["log"] = retries
print(json.dumps(told))
"""


def run(
    way: str,
    url: str,
    environment: dict[str, str],
    *,
    blocked: tuple[str, ...] = (),
    whose: str = "default",
    texts: int = 3,
    **settings: Any,
) -> dict[str, Any]:
    """Run the program in an environment with nothing but the given variables; return what it prints."""
    asked = {"url": url, "way": way, "key": KEY, "blocked": blocked, "whose": whose, "settings": settings}
    asked["call"] = ["which?", [f"text {number}" for number in range(texts)]]
    bare = {name: value for name, value in os.environ.items() if name.upper() not in NAMES}
    done = subprocess.run(
        [sys.executable, "-c", CODE, json.dumps(asked)],
        env={**bare, **environment},
        capture_output=True,
        text=True,
        timeout=patience(60),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert PASSWORD not in done.stdout + done.stderr
    told: dict[str, Any] = json.loads(done.stdout)
    return told
