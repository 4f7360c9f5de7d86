"""Copies, pickles and dumps: they work like the original, share its connections, and do not carry the key away."""

import copy
import pickle
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import httpx
import pytest

from hosted_rerank import PROVIDERS, Dialect, PaymentRequiredError, Provider, RerankError, ServerError
from tests.adapters.fixtures import Asking, Rank
from tests.conftest import KEY
from tests.hostile import HostileServer, reply

SECRET_HEADERS = {
    "x-api-key": KEY,
    "X-JWT-Assertion": KEY,
    "cookie": f"session={KEY}",
    "x-any": KEY,
    "x-title": "birds",
}
OMITTED_HEADERS = dict.fromkeys(SECRET_HEADERS, "[omitted]") | {"x-title": "birds"}
COPIES: dict[str, Callable[[Any], Any]] = {
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    "model_copy": lambda reranker: reranker.model_copy(),
    "deep model_copy": lambda reranker: reranker.model_copy(deep=True),
}
PICKLES: dict[str, Callable[[Any], Any]] = {
    f"pickle {protocol}": lambda reranker, protocol=protocol: pickle.loads(pickle.dumps(reranker, protocol))
    for protocol in (2, pickle.HIGHEST_PROTOCOL)
}
ROW = Provider(
    name="acme",
    url="https://rerank.example/rank",
    dialect=Dialect(
        query="input.query",
        documents="input.texts",
        top_n=None,
        static_fields={"echo": {"on": False}},
        options={"truncate": bool, "tier": ("a", "b"), "limit": int, "extra": dict},
        results="output.hits",
        index="i",
        score="s",
    ),
    default_model="m-1",
    api_key_env=("ACME_API_KEY", "ACME_KEY"),
    request_id_headers=("x-acme-id",),
    errors={412: PaymentRequiredError, 418: ServerError},
    max_response_bytes=1 << 20,
)


pytestmark = pytest.mark.filterwarnings("ignore:The function `loads` is in beta")


@pytest.fixture
def custom_client() -> Iterator[dict[str, Any]]:
    """Clients of a caller; the awaiting one is never opened."""
    with httpx.Client() as client:
        yield {"client": client, "async_client": httpx.AsyncClient()}


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_copy(
    host: ModuleType, asking: Asking, rank: Rank, server: HostileServer, copied: Callable[[Any], Any]
) -> None:
    """A copy works as the original does, key included, also when that was used before; changing it changes only it."""
    reranker, items = asking(host.FireworksRerank, model="m-1", top_n=2), host.candidates("swift", "salmon")
    rank(reranker, items)
    other = copied(reranker)
    other.top_n, other.model = 1, "m-2"
    assert [len(rank(which, items)) for which in (other, reranker)] == [1, 2]
    assert [seen.body["model"] for seen in server.requests] == ["m-1", "m-2", "m-1"]
    assert {seen.headers["authorization"] for seen in server.requests} == {f"Bearer {KEY}"}


@pytest.mark.parametrize("pickled", PICKLES.values(), ids=PICKLES)
def test_pickle(
    host: ModuleType,
    asking: Asking,
    rank: Rank,
    server: HostileServer,
    monkeypatch: pytest.MonkeyPatch,
    pickled: Callable[[Any], Any],
) -> None:
    """An unpickled reranker has all settings, works, and reads the key from the environment."""
    reranker = asking(host.NebiusRerank, model="m-1", top_n=1, ai_project_id="p-1", on_error="passthrough")
    items = host.candidates("swift", "salmon")
    rank(reranker, items)
    other = pickled(reranker)
    monkeypatch.setenv("NEBIUS_API_KEY", "sk-of-environment")
    assert other.on_error == "passthrough"
    assert [len(rank(which, items)) for which in (other, reranker)] == [1, 1]
    assert {seen.target for seen in server.requests} == {"/v1/rerank?ai_project_id=p-1"}
    keys = [seen.headers["authorization"] for seen in server.requests]
    assert keys == [f"Bearer {key}" for key in (KEY, "sk-of-environment", KEY)]


def test_pickle_holds_no_secret(host: ModuleType, asking: Asking, rank: Rank) -> None:
    """A pickle holds neither the key nor headers that may be one; the live object keeps both."""
    reranker = asking(host.FireworksRerank, headers=dict(SECRET_HEADERS))
    for _ in range(2):
        for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
            pickled = pickle.dumps(reranker, protocol)
            assert KEY.encode() not in pickled
            assert pickle.loads(pickled).headers == OMITTED_HEADERS
        rank(reranker, host.candidates("swift"))
    assert reranker.headers == SECRET_HEADERS
    assert reranker.api_key.get_secret_value() == KEY


def test_dump_holds_no_secret(host: ModuleType, asking: Asking) -> None:
    """A dump in any form holds neither the key nor headers that may be one; the live object keeps both."""
    reranker = asking(host.FireworksRerank, headers=dict(SECRET_HEADERS))
    dumps = host.dump(reranker), repr(reranker.model_dump()), reranker.model_dump_json()
    assert not [dump for dump in dumps if KEY in dump]
    assert host.load(dumps[0]).headers == OMITTED_HEADERS
    assert reranker.headers == SECRET_HEADERS
    assert reranker.api_key.get_secret_value() == KEY


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
def test_lent_clients_go_into_copies(
    host: ModuleType, custom_client: dict[str, Any], copied: Callable[[Any], Any]
) -> None:
    """A copy uses the same custom clients: they are neither copied nor dropped."""
    other = copied(host.FireworksRerank(**custom_client))
    assert (other.client, other.async_client) == (custom_client["client"], custom_client["async_client"])


def test_lent_clients_stay_where_they_are(
    host: ModuleType, custom_client: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    """A custom client does not go into a pickle, which is no error, and the live object keeps it."""
    reranker = host.FireworksRerank(**custom_client)
    other = pickle.loads(pickle.dumps(reranker))
    assert (other.client, other.async_client) == (None, None)
    assert (reranker.client, reranker.async_client) == (custom_client["client"], custom_client["async_client"])
    assert not caplog.records


def test_lent_clients_are_not_dumped(host: ModuleType, custom_client: dict[str, Any]) -> None:
    """A custom client does not go into a dump, and the live object keeps it."""
    reranker = host.FireworksRerank(**custom_client)
    other = host.load(host.dump(reranker))
    assert (other.client, other.async_client) == (None, None)
    assert (reranker.client, reranker.async_client) == (custom_client["client"], custom_client["async_client"])


def test_model_copy_with_changes(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """`model_copy(update=...)` makes a reranker with other settings, in use at once; the original stays as it was."""
    reranker, items = asking(host.FireworksRerank, top_n=1), host.candidates("swift", "salmon")
    rank(reranker, items)
    other = reranker.model_copy(update={"top_n": 2, "model": "m-2", "base_url": f"{server.url}/proxy"})
    assert [len(rank(which, items)) for which in (other, reranker)] == [2, 1]
    assert server.requests[1].target == "/proxy/inference/v1/rerank"
    assert server.requests[1].body["model"] == "m-2"
    assert server.requests[2].target == "/inference/v1/rerank"


def test_copies_share_connections(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """All copies of a reranker, and rerankers made anew for each call, use one connection if they come in turn."""
    reranker, items = asking(host.FireworksRerank), host.candidates("swift", "salmon")
    for copied in (*COPIES.values(), *PICKLES.values()):
        rank(copied(reranker), items)
    rank(reranker.model_copy(update={"top_n": 1}), items)
    rank(asking(host.FireworksRerank), items)
    assert (len(server.requests), server.connections) == (8, 1)


@pytest.mark.parametrize("kind", ["HostedRerank", "FireworksRerank", "NebiusRerank"])
def test_dump(
    host: ModuleType, asking: Asking, rank: Rank, server: HostileServer, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    """A reranker loaded from the framework's own JSON has all settings and works with a key that is given again."""
    settings: dict[str, Any] = {
        "model": "m-1", "top_n": None, "score_threshold": 0.25, "timeout": 7.0, "deadline": 9.0, "max_retries": 1,
        "on_error": "passthrough", "headers": {"x-title": "birds"},
    }  # fmt: skip
    settings |= {"ai_project_id": "p-1", "user": "u-7"} if kind == "NebiusRerank" else {"instruction": "Find birds."}
    reranker = asking(getattr(host, kind), **settings)
    loaded = host.load(host.dump(reranker), KEY)
    assert type(loaded) is type(reranker)
    assert {name: getattr(loaded, name) for name in settings} == settings
    items = host.candidates("swift", "salmon")
    rank(reranker, items)
    assert [host.score(item) for item in rank(loaded, items)] == [0.5]
    first, second = server.requests
    assert (first.target, first.content) == (second.target, second.content)
    assert second.headers["authorization"] == f"Bearer {KEY}"


@pytest.mark.parametrize("row", [ROW, Provider(name="plain", url="https://rerank.example")], ids=lambda row: row.name)
def test_own_provider(host: ModuleType, row: Provider) -> None:
    """A `Provider` of one's own comes whole out of a copy, a pickle and a dump."""
    reranker = host.HostedRerank(provider=row)
    for copied in (*COPIES.values(), *PICKLES.values()):
        assert copied(reranker).provider == row
    loaded = host.load(host.dump(reranker))
    assert loaded.provider == row
    assert loaded.reranker.provider == row
    assert host.load(host.dump(loaded)).provider == row


def test_dump_of_a_known_provider(host: ModuleType) -> None:
    """A provider that we have is dumped by its name, so that a later version's row applies."""
    for provider in ("nebius", PROVIDERS["nebius"]):
        dumped = host.dump(host.HostedRerank(provider=provider))
        assert "tokenfactory" not in dumped
        assert host.load(dumped).provider == "nebius"


class TeapotError(RerankError):
    """An error that only this module has."""


def test_own_error_in_a_row(host: ModuleType, asking: Asking, rank: Rank, server: HostileServer) -> None:
    """A row may name an error class of the caller's own, also in a copy and in what comes out of a pickle."""
    row = Provider(name="acme", url=f"{server.url}/rank", errors={418: TeapotError})
    server.play(reply(418))
    reranker = asking(host.HostedRerank, provider=row, base_url=None)
    for copied in (*COPIES.values(), *PICKLES.values()):
        with pytest.raises(TeapotError):
            rank(copied(reranker), host.candidates("swift"))


def test_own_error_in_a_dump(host: ModuleType) -> None:
    """A dump that could not be loaded again, for an error class is in it that is not ours, is refused at once."""
    row = Provider(name="acme", url="https://rerank.example", errors={418: TeapotError})
    with pytest.raises((ValueError, TypeError), match="TeapotError"):
        host.dump(host.HostedRerank(provider=row))


@pytest.mark.parametrize("given", [{"name": "acme", "url": "https://rerank.example"}, {}, {"dialect": 5}], ids=repr)
def test_provider_that_is_no_dump(host: ModuleType, given: dict[str, Any]) -> None:
    """A mapping in the place of a provider that is not what a dump writes is refused as any wrong value is."""
    with pytest.raises(ValueError, match="provider"):
        host.HostedRerank(provider=given)
