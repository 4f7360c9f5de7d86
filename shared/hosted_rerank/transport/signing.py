"""A transport that adds the credentials of a cloud to each request."""

import asyncio
import time
from collections.abc import Callable, Mapping
from dataclasses import replace

from hosted_rerank._masking import mask_verbatim
from hosted_rerank.errors import AuthenticationError
from hosted_rerank.providers.auth import Signer, Unreachable
from hosted_rerank.transport.transport import TransportWrapper
from hosted_rerank.wire import Outcome, Request, Response, Transport, TransportFailure


class SigningTransport(TransportWrapper):
    """Signs each request and sends it through another transport.

    A request with an `authorization` header is sent as it is. An awaiting call signs in a thread, because the signer
    may have to fetch a token.

    Args:
        inner: The transport that sends the signed request.
        signer: Returns the headers that authenticate a request.
        key: Returns the caller's key, or `None` for none.
        url_params: The values of the names in braces in the provider's URL, such as `region`.
        provider_name: The provider's name, for errors.
    """

    def __init__(
        self,
        inner: Transport,
        signer: Signer,
        key: Callable[[], str | None],
        url_params: Mapping[str, str],
        provider_name: str,
    ) -> None:
        super().__init__(inner)
        self._signer = signer
        self._key = key
        self._url_params = url_params
        self._provider_name = provider_name

    def send(self, request: Request) -> Outcome:
        """Signs and sends a request.

        Args:
            request: The request without credentials.

        Returns:
            The response, or the reason why there is none.

        Raises:
            AuthenticationError: There are no credentials, or the cloud refuses them.
            ImportError: The cloud's library is not installed.
        """
        signed = self._sign(request)
        return signed if isinstance(signed, TransportFailure) else _redact(self._inner.send(signed), request, signed)

    async def asend(self, request: Request) -> Outcome:
        """Signs and sends a request as `send` does, awaiting."""
        try:
            async with asyncio.timeout(request.timeout):
                signed = await asyncio.to_thread(self._sign, request)
        except TimeoutError:
            reason = f"the cloud's library found no credentials within {request.timeout:g} s"
            signed = TransportFailure(reason, time.monotonic(), timed_out=True, unsent=True)
        if isinstance(signed, TransportFailure):
            return signed
        return _redact(await self._inner.asend(signed), request, signed)

    def _sign(self, request: Request) -> Request | TransportFailure:
        """Returns the request with its credentials, and with the rest of its timeout."""
        if "authorization" in request.headers:
            return request
        started = time.monotonic()
        try:
            headers = self._signer.headers(request, self._key(), self._url_params)
        except AuthenticationError as error:
            raise AuthenticationError(str(error), provider=self._provider_name) from None
        except Unreachable as problem:
            return TransportFailure(str(problem), time.monotonic(), unsent=True)
        remaining = request.timeout - (time.monotonic() - started)
        return replace(request, headers={**request.headers, **headers}, timeout=max(0.001, remaining))


def _redact(outcome: Outcome, request: Request, signed: Request) -> Outcome:
    """Returns the outcome without the credentials, which the body of an error response may repeat."""
    if not isinstance(outcome, Response) or outcome.status < 300:
        return outcome
    names = signed.headers.keys() - request.headers.keys()
    credentials = [word for name in sorted(names) for word in signed.headers[name].split()]
    return replace(outcome, content=mask_verbatim(outcome.content, credentials))
