"""A transport that puts a cloud's credentials on each request, the one thing that has to be asked of somebody first."""

import asyncio
import time
from dataclasses import replace

from hosted_rerank.errors import AuthenticationError
from hosted_rerank.providers.auth import Signer, Unreachable
from hosted_rerank.providers.endpoint import Endpoint
from hosted_rerank.transport.transport import TransportWrapper
from hosted_rerank.wire import Outcome, Request, Response, Transport, TransportFailure


class SigningTransport(TransportWrapper):
    """Signs requests and hands them on. Awaiting, the signing is done in a thread: a token may have to be fetched."""

    def __init__(self, inner: Transport, signer: Signer, endpoint: Endpoint) -> None:
        super().__init__(inner)
        self._signer = signer
        self._endpoint = endpoint

    def send(self, request: Request) -> Outcome:
        """Send a request and return what came of it. Raises what `Signer.headers` raises but for `Unreachable`."""
        signed = self._sign(request)
        return signed if isinstance(signed, TransportFailure) else _redacted(self._inner.send(signed), request, signed)

    async def asend(self, request: Request) -> Outcome:
        """The same, awaiting."""
        try:
            async with asyncio.timeout(request.timeout):
                signed = await asyncio.to_thread(self._sign, request)
        except TimeoutError:
            signed = TransportFailure("no credentials in time", time.monotonic(), timed_out=True)
        return (
            signed
            if isinstance(signed, TransportFailure)
            else _redacted(await self._inner.asend(signed), request, signed)
        )

    def _sign(self, request: Request) -> Request | TransportFailure:
        """The request with its credentials, and with what time they left. The caller's own header stands."""
        if "authorization" in request.headers:
            return request
        began = time.monotonic()
        try:
            headers = self._signer.headers(request, self._endpoint.key(), self._endpoint.parts)
        except AuthenticationError as error:
            raise AuthenticationError(str(error), provider=self._endpoint.provider.name) from None
        except Unreachable as problem:
            return TransportFailure(str(problem), time.monotonic())
        left = request.timeout - (time.monotonic() - began)
        return replace(request, headers={**request.headers, **headers}, timeout=max(0.001, left))


def _redacted(outcome: Outcome, request: Request, signed: Request) -> Outcome:
    """The outcome without the credentials, which a server may quote in what it says of a failure."""
    if not isinstance(outcome, Response) or outcome.status < 300:
        return outcome
    content = outcome.content
    for name in signed.headers.keys() - request.headers.keys():
        for word in signed.headers[name].split():
            content = content.replace(word.encode(), b"[key]") if len(word) >= 8 else content
    return replace(outcome, content=content)
