"""What a caller adds is as secret as a key: headers, parameters and fields, whatever their names."""

import copy
import pickle
import re
from typing import Any

import pytest

from hosted_rerank import AuthenticationError, ConfigurationError, Dialect, Provider, Reranker, RerankError
from hosted_rerank.providers.endpoint import Endpoint
from tests.byhand import planned, request_of
from tests.conftest import KEY, Acme, Rerank
from tests.hostile import HostileServer, reply

S3CR3T = "s3cr3t-of-a-caller"
OPEN = Dialect(allows_extra_fields=True)
PRIVATE: dict[str, dict[str, Any]] = {
    "headers['X-JWT-Assertion']": {"headers": {"X-JWT-Assertion": f"Bearer {S3CR3T}"}},
    "headers['x-anything']": {"headers": {"x-anything": S3CR3T}},
    "params['sig']": {"params": {"sig": S3CR3T}},
    "extra_body['tenant']": {"extra_body": {"tenant": {"id": [S3CR3T]}}},
}
PICKLES = range(pickle.HIGHEST_PROTOCOL + 1)


def asking(server: HostileServer, **settings: Any) -> Reranker:
    """A reranker of an API that takes any field and names two parameters."""
    row = Provider(
        name="acme",
        url=f"{server.url}/{{region}}/rerank",
        dialect=OPEN,
        query_params=("project",),
        headers={"x-version": "1"},
    )
    public = {"region": "here", "project": "p-1"}
    headers = {"X-Version": "2", "X-Title": "birds"} | settings.pop("headers", {})
    return Reranker(row, api_key=KEY, headers=headers, params=public | settings.pop("params", {}), **settings)


@pytest.mark.parametrize(("name", "settings"), PRIVATE.items(), ids=PRIVATE)
def test_pickle(name: str, settings: dict[str, Any], server: HostileServer, rerank: Rerank) -> None:
    """No pickle holds the value, and its copy says what it lacks before it sends anything; the original goes on."""
    reranker = asking(server, **settings)
    for protocol in PICKLES:
        pickled = pickle.dumps(reranker, protocol)
        assert S3CR3T.encode() not in pickled
        with pytest.raises(ConfigurationError, match=f"^{re.escape(name)} may be secret.*set it again$") as caught:
            rerank(pickle.loads(pickled))
        assert caught.value.provider == "acme"
    assert server.requests == []
    rerank(reranker)
    assert S3CR3T in str(server.requests[0])


def test_pickle_of_all(server: HostileServer, rerank: Rerank) -> None:
    """All that was left out is named at once; a pickle of a copy leaves out the same."""
    settings = {where: value for given in PRIVATE.values() for where, value in given.items()}
    copied = pickle.loads(pickle.dumps(pickle.loads(pickle.dumps(asking(server, **settings)))))
    with pytest.raises(
        ConfigurationError, match=r"^headers\['x-anything'\], params\['sig'\], extra_body\['tenant'\] may"
    ):
        rerank(copied)


def test_pickle_of_what_is_no_secret(server: HostileServer, rerank: Rerank, monkeypatch: pytest.MonkeyPatch) -> None:
    """What the provider's row names, and harmless headers, go along; the copy sends the same."""
    monkeypatch.setenv("ACME_API_KEY", KEY)
    reranker = asking(server)
    for each in (reranker, pickle.loads(pickle.dumps(reranker)), copy.deepcopy(reranker)):
        rerank(each)
    assert {seen.target for seen in server.requests} == {"/here/rerank?project=p-1"}
    assert {(seen.headers["x-version"], seen.headers["x-title"]) for seen in server.requests} == {("2", "birds")}


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy])
def test_copies_keep_all(copied: Any, server: HostileServer, rerank: Rerank) -> None:
    """A copy in the same process has everything."""
    settings = {where: value for given in PRIVATE.values() for where, value in given.items()}
    rerank(copied(asking(server, **settings)))
    assert str(server.requests[0]).count(S3CR3T) == 3


def test_query_of_a_base_url(server: HostileServer, rerank: Rerank) -> None:
    """A parameter that stands in `base_url` is as secret as one of `params`, and the address is otherwise kept."""
    row = Provider(name="acme", url="https://acme.example/rerank", query_params=("project",))
    reranker = Reranker(row, base_url=f"{server.url}/rerank?project=p-1&sig={S3CR3T}&flag=")
    pickled = pickle.dumps(reranker)
    assert S3CR3T.encode() not in pickled
    with pytest.raises(ConfigurationError, match=r"^'sig' in base_url, 'flag' in base_url may be secret"):
        rerank(pickle.loads(pickled))
    plain = Reranker(row, base_url=f"{server.url}/rerank?project=p%201")
    for each in (plain, pickle.loads(pickle.dumps(plain))):
        rerank(each)
    assert {seen.target for seen in server.requests} == {"/rerank?project=p+1"}


@pytest.mark.parametrize(("name", "settings"), PRIVATE.items(), ids=PRIVATE)
def test_reprs(name: str, settings: dict[str, Any], server: HostileServer) -> None:
    """No repr shows the value."""
    reranker = asking(server, **settings, base_url=f"{server.url}/here/rerank?sig={S3CR3T}")
    shown = [reranker, vars(reranker), reranker._endpoint, reranker._endpoint.without_private()]
    assert S3CR3T not in "".join(map(repr, shown)), name


@pytest.mark.parametrize(("name", "settings"), PRIVATE.items(), ids=PRIVATE)
def test_plain_http(name: str, settings: dict[str, Any], rerank: Rerank) -> None:
    """What may be secret goes over plain http no further than a key: not to another machine, unless the row says so."""
    row = {"name": "acme", "dialect": OPEN, "api_key_env": ("ACME_API_KEY",)}
    away = Provider(url="http://example.invalid/rerank", **row)
    with pytest.raises(AuthenticationError, match=f"^{re.escape(name)} would go to example.invalid over plain http"):
        rerank(Reranker(away, max_retries=0, **settings))
    for url, allowed in (("http://example.invalid", True), ("https://example.invalid", False)):
        asked = Provider(url=url, allow_http=allowed, **row)
        assert S3CR3T in str(vars_of(request_of(planned(asked, **settings))))
    assert request_of(
        planned(away, api_key=None, base_url="http://example.invalid/rerank", headers={"x-title": "birds"})
    )


def vars_of(request: Any) -> tuple[Any, ...]:
    """All that goes along with a request."""
    return request.url, request.headers, request.content


def test_plain_http_to_this_machine(server: HostileServer, rerank: Rerank) -> None:
    """To this machine itself plain http will do."""
    for settings in PRIVATE.values():
        rerank(asking(server, **settings))
    assert len(server.requests) == len(PRIVATE)


@pytest.mark.parametrize(("name", "settings"), PRIVATE.items(), ids=PRIVATE)
def test_errors(name: str, settings: dict[str, Any], server: HostileServer, rerank: Rerank) -> None:
    """An error does not repeat the value, in a message, a code or an id."""
    server.play(reply(400, {"message": f"what is {S3CR3T.upper()}?", "code": S3CR3T}, x_request_id=f"id-{S3CR3T}"))
    with pytest.raises(RerankError, match=r"what is \[key\]\?") as caught:
        rerank(asking(server, **settings))
    assert (caught.value.code, caught.value.request_id) == (None, None), name


def test_a_header_of_any_name_is_no_key(rerank: Rerank) -> None:
    """A header that does not tell who the caller is does not stand in for the key at a vendor's own address."""
    with pytest.raises(AuthenticationError, match="no API key for nebius"):
        rerank(Reranker("nebius", headers={"x-team": "birds"}))


def test_cookie_is_masked_by_its_parts() -> None:
    """Of a value with several parts each is a secret, with and without its name."""
    endpoint = Endpoint(
        provider=Provider(name="a", url="https://h.example"), headers={"cookie": "id=abc-12345; b=xyz-67890"}
    )
    assert {"abc-12345", "xyz-67890", "id=abc-12345;"} <= set(endpoint.secrets(None))


@pytest.mark.parametrize("name", ["sk-live-4f9d0b7a62c1e853", f"Bearer {KEY}", "firework-s-of-a-long-name"])
def test_unknown_names_are_not_quoted_in_full(name: str) -> None:
    """What stands in the place of a provider's or a header's name may be a key: only its start is quoted."""
    with pytest.raises(ValueError, match="is unknown") as caught:
        Reranker(name)
    assert name not in str(caught.value)
    assert repr(name[:12])[:-1] in str(caught.value)
    for headers in ({f"{name}:": "x"}, {name.replace(" ", "-"): "x\n"}):
        with pytest.raises(ValueError, match=r"^headers: ") as caught:
            Reranker("nebius", headers=headers)
        assert name[:13] not in str(caught.value)


def test_short_names_are_quoted() -> None:
    """A short name is quoted, for it is mistyped."""
    with pytest.raises(ValueError, match="provider 'firework' is unknown"):
        Reranker("firework")


def test_learned_limits_do_not_depend_on_harmless_values(acme: Acme) -> None:
    """What tells who the caller is separates accounts; a field or another header does not."""
    row = {"dialect": OPEN}
    plain = acme(row=row)._endpoint.credentials
    assert acme(row=row, headers={"x-team": "birds"}, extra_body={"a": "b"})._endpoint.credentials == plain == []
    assert acme(row=row, headers={"x-api-key": "one"})._endpoint.credentials == ["one"]
