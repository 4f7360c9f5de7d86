"""Headers of the caller's own, in both frameworks: what is refused, and what a fallback gets of them."""

from types import ModuleType

import pytest

from hosted_rerank import Provider
from tests.adapters.fixtures import Asking, Rank
from tests.conftest import KEY
from tests.core.test_headers import WRONG, Limiter
from tests.hostile import HostileServer, reply


@pytest.mark.parametrize(("name", "value"), WRONG)
def test_header_that_cannot_be_sent(name: str, value: str, host: ModuleType, asking: Asking) -> None:
    """A header that would frame the body anew, or with a line break, is refused where it is set, by its name."""
    with pytest.raises(ValueError, match="headers: ") as caught:
        asking(host.HostedRerank, headers={"x-team": "birds", name: value})
    assert repr(name[:12])[1:-1] in str(caught.value)
    reranker = asking(host.HostedRerank)
    with pytest.raises(ValueError, match="headers: ") as caught:
        reranker.headers = {name: value}
    assert repr(name[:12])[1:-1] in str(caught.value)


def test_what_a_fallback_gets(way: str, server: HostileServer, host: ModuleType, asking: Asking, rank: Rank) -> None:
    """A fallback gets the limiter and the harmless headers, and no header that may be a secret."""
    server.play(reply(503, ""))
    headers = {
        "x-title": "birds",
        "x-team": "team-of-the-first",
        "x-api-key": "sk-of-the-first",
        "x-auth-token": "token-of-the-first",
    }
    limiter = Limiter()
    with HostileServer() as spare:
        row = Provider(name="spare", url=f"{spare.url}/v1/rerank")
        settings = {"provider": "cohere", "headers": headers, "rate_limiter": limiter, "fallbacks": [row]}
        assert len(rank(asking(host.HostedRerank, **settings), host.candidates("a", "b"))) == 2
        (first,), (second,) = server.requests, spare.requests
    assert headers.items() <= first.headers.items()
    assert second.headers["x-title"] == "birds"
    assert not {"authorization", "x-team", "x-api-key", "x-auth-token"} & second.headers.keys()
    assert KEY not in str(second)
    assert limiter.asked == 2
