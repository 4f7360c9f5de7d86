"""What a caller adds is as secret as a key, in both frameworks: headers, parameters and fields of any name."""

import copy
import pickle
import re
from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest

from hosted_rerank import ConfigurationError, Dialect, Provider
from tests.adapters.fixtures import Asking, Rank
from tests.conftest import KEY
from tests.hostile import HostileServer

pytestmark = pytest.mark.filterwarnings("ignore:The function `loads` is in beta")

S3CR3T = "s3cr3t-of-a-caller"
ROW = Provider(
    name="acme",
    url="https://{region}.acme.example/rerank",
    dialect=Dialect(allows_extra_fields=True),
    query_params=("project",),
)
PRIVATE: dict[str, dict[str, Any]] = {
    "headers['X-JWT-Assertion']": {"headers": {"X-JWT-Assertion": f"Bearer {S3CR3T}"}},
    "headers['x-anything']": {"headers": {"x-anything": S3CR3T, "x-title": "birds"}},
    "params['sig']": {"params": {"sig": S3CR3T, "region": "here", "project": "p-1"}},
    "extra_body['tenant']": {"extra_body": {"tenant": {"id": S3CR3T}}},
    "'sig' in base_url": {"query": f"?sig={S3CR3T}&project=p-1"},
}


@pytest.fixture
def private(host: ModuleType, asking: Asking, server: HostileServer) -> Callable[..., Any]:
    """Makes a reranker with settings that may be secret."""

    def make(query: str = "", **settings: Any) -> Any:
        return asking(host.HostedRerank, provider=ROW, base_url=f"{server.url}/rerank{query}", **settings)

    return make


COPIES: dict[str, Callable[[ModuleType, Any], Any]] = {
    "pickle": lambda _, reranker: pickle.loads(pickle.dumps(reranker)),
    "framework": lambda host, reranker: host.load(host.dump(reranker)),
    "model_dump": lambda _, reranker: type(reranker)(**reranker.model_dump()),
    "model_dump_json": lambda _, reranker: type(reranker).model_validate_json(reranker.model_dump_json()),
}


@pytest.mark.parametrize(("name", "settings"), PRIVATE.items(), ids=PRIVATE)
def test_dumps_and_reprs(name: str, settings: dict[str, Any], host: ModuleType, private: Callable[..., Any]) -> None:
    """No pickle, dump or repr has the value; each but the repr says that there was one."""
    reranker = private(**settings)
    pickles = [pickle.dumps(reranker, protocol).decode("latin-1") for protocol in range(pickle.HIGHEST_PROTOCOL + 1)]
    dumps = [host.dump(reranker), repr(reranker.model_dump()), reranker.model_dump_json(), *pickles]
    assert S3CR3T not in "".join([*dumps, repr(reranker), str(reranker), repr(reranker.reranker)]), name
    assert all("[omitted]" in dump for dump in dumps)


@pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)
@pytest.mark.parametrize(("name", "settings"), PRIVATE.items(), ids=PRIVATE)
def test_use_of_a_copy(
    name: str,
    settings: dict[str, Any],
    copied: Callable[[ModuleType, Any], Any],
    host: ModuleType,
    private: Callable[..., Any],
    rank: Rank,
    server: HostileServer,
) -> None:
    """A copy says what it lacks before it sends anything; once that is set again it works. The original goes on."""
    reranker, items = private(**settings), host.candidates("a")
    other = copied(host, reranker)
    for each in (other, copied(host, other)):
        with pytest.raises(ConfigurationError, match=f"^{re.escape(name)} may be secret"):
            rank(each, items)
    assert server.requests == []
    for field in ("headers", "params", "extra_body", "base_url", "api_key"):
        setattr(other, field, getattr(reranker, field))
    for each in (other, reranker):
        rank(each, items)
    first, second = server.requests
    assert S3CR3T in str(first)
    assert (first.target, first.content) == (second.target, second.content)
    changed = {name for name, value in first.headers.items() if second.headers.get(name) != value}
    assert changed <= {"traceparent"}  # an earlier test of the process may have set up OpenTelemetry


def test_what_is_no_secret_is_kept(host: ModuleType, private: Callable[..., Any]) -> None:
    """Harmless headers, and parameters that the row names, are in every pickle and dump."""
    settings = {"headers": {"X-Title": "birds", "traceparent": "00-1"}, "params": {"region": "here", "project": "p-1"}}
    reranker = private("?project=p-2", **settings)
    for copied in COPIES.values():
        other = copied(host, reranker)
        assert {name: getattr(other, name) for name in settings} == settings
        assert other.base_url == reranker.base_url
    nebius = host.NebiusRerank(params={"ai_project_id": "p-1"})
    assert all(copied(host, nebius).params == {"ai_project_id": "p-1"} for copied in COPIES.values())


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda reranker: reranker.model_copy(deep=True)])
def test_copies_keep_all(copied: Any, host: ModuleType, private: Callable[..., Any]) -> None:
    """A copy in the same process has everything."""
    for settings in PRIVATE.values():
        reranker = private(**settings)
        other = copied(reranker)
        for field in ("headers", "params", "extra_body", "base_url"):
            assert getattr(other, field) == getattr(reranker, field)


@pytest.mark.parametrize(("name", "settings"), PRIVATE.items(), ids=PRIVATE)
def test_plain_http(name: str, settings: dict[str, Any], host: ModuleType, asking: Asking) -> None:
    """What may be secret goes over plain http no further than a key."""
    given = {field: value for field, value in settings.items() if field != "query"}
    base_url = f"http://example.invalid/rerank{settings.get('query', '')}"
    with pytest.raises(ValueError, match=f"{re.escape(name)} would go to example.invalid over plain http"):
        asking(host.HostedRerank, provider=ROW, base_url=base_url, api_key=None, **given)


def test_unknown_names_are_not_quoted_in_full(host: ModuleType) -> None:
    """A key in the place of the provider's or a header's name is not quoted in full."""
    for settings in ({"provider": KEY}, {"headers": {f"{KEY}:": "x"}}, {"headers": {KEY: "x\n"}}):
        with pytest.raises(ValueError, match=KEY[:8]) as caught:
            host.HostedRerank(**settings)
        assert KEY[:13] not in str(caught.value)
