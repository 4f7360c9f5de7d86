"""Where a request goes: base_url with any part of the path, query parameters, and values that are no URL."""

from urllib.parse import parse_qsl, urlsplit

import pytest

from hosted_rerank import Provider, Reranker
from tests.byhand import planned, request_of
from tests.conftest import Acme, Rerank
from tests.hostile import HostileServer


def url(base: str | None, provider: str | Provider = "fireworks", **settings: object) -> str:
    """The address that a call with this base_url goes to."""
    return request_of(planned(provider, base_url=base, **settings)).url


@pytest.mark.parametrize("slash", ["", "/"])
@pytest.mark.parametrize(
    ("provider", "base", "address"),
    [
        ("fireworks", "https://h.example", "https://h.example/inference/v1/rerank"),
        ("fireworks", "https://h.example/inference", "https://h.example/inference/v1/rerank"),
        ("fireworks", "https://h.example/inference/v1", "https://h.example/inference/v1/rerank"),
        ("fireworks", "https://h.example/inference/v1/rerank", "https://h.example/inference/v1/rerank"),
        ("fireworks", "https://h.example/to/fw", "https://h.example/to/fw/inference/v1/rerank"),
        ("fireworks", "https://h.example/to/inference/v1", "https://h.example/to/inference/v1/rerank"),
        ("nebius", "https://h.example", "https://h.example/v1/rerank"),
        ("nebius", "https://h.example/v1", "https://h.example/v1/rerank"),
        ("nebius", "https://h.example/v1/rerank", "https://h.example/v1/rerank"),
        ("nebius", "https://h.example/proxy/v1", "https://h.example/proxy/v1/rerank"),
        ("nebius", "https://h.example:8443", "https://h.example:8443/v1/rerank"),
        ("nebius", "http://127.0.0.1:8080", "http://127.0.0.1:8080/v1/rerank"),
        ("nebius", "http://[::1]:8080/v1", "http://[::1]:8080/v1/rerank"),
    ],
)
def test_base_url_holds_any_part_of_the_path(provider: str, base: str, address: str, slash: str) -> None:
    """A base URL may hold none, a part or all of the endpoint's path, a prefix before it, and a slash at its end."""
    assert url(base + slash, provider) == address


def test_spaces_around_a_base_url_do_no_harm() -> None:
    """A base URL from a file or an environment variable may have a line break at its end."""
    assert url(" https://h.example/v1\n", "nebius") == "https://h.example/v1/rerank"


def test_query_is_kept() -> None:
    """The query of the URL is kept, and parameters are added to it."""
    address = urlsplit(url("https://h.example/v1?api-version=7&flag=", "nebius", params={"ai_project_id": "a&b=ü"}))
    assert address.path == "/v1/rerank"
    assert parse_qsl(address.query, keep_blank_values=True) == [
        ("api-version", "7"),
        ("flag", ""),
        ("ai_project_id", "a&b=ü"),
    ]


def test_row_of_ones_own_is_the_address() -> None:
    """The address of a row of one's own is taken as it is, query included."""
    row = Provider(name="mine", url="https://h.example/api/v3/score/?tenant=5")
    assert url(None, row) == "https://h.example/api/v3/score/?tenant=5"


def test_parameters_arrive(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """Parameters are in the query string that the server sees."""
    rerank(acme(params={"ai_project_id": "p 1"}))
    assert parse_qsl(urlsplit(server.requests[0].target).query) == [("ai_project_id", "p 1")]


@pytest.mark.parametrize(
    "base",
    [
        "",
        " ",
        "h.example",
        "h.example/v1",
        "//h.example",
        "/v1/rerank",
        "https://",
        "https:///v1",
        "ftp://h.example",
        "file:///etc/hosts",
        "https://h.example:port",
        "https://h.example:70000",
        "https://h.example:0",
        "https://h example",
        "https://h.example/a b",
        "https://h.example/\r\nx: y",
        "https://[::1",
    ],
)
def test_what_is_no_address_is_refused(base: str) -> None:
    """A base URL that no request can go to is refused when it is given, by its name."""
    with pytest.raises(ValueError, match="base_url"):
        Reranker("fireworks", base_url=base)
    with pytest.raises(ValueError, match="url"):
        Reranker(Provider(name="mine", url=base or " "))


@pytest.mark.parametrize(
    "base", ["https://user:s3cr3t@h.example", "https://s3cr3t@h.example/v1", "https://:s3cr3t@h.example"]
)
def test_credentials_in_an_address_are_refused(base: str) -> None:
    """A user name or password in an address is refused, and not shown."""
    with pytest.raises(ValueError, match="api_key") as caught:
        Reranker("fireworks", base_url=base)
    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"headers": {"x-a": 5}},
        {"headers": {5: "x"}},
        {"api_key": 5},
        {"api_key": b"sk-1"},
        {"instruction": 5},
        {"timeout": "3"},
        {"timeout": None},
        {"timeout": True},
        {"deadline": "3"},
        {"max_retries": 1.5},
        {"max_retries": True},
        {"max_retries": None},
        {"model": 5},
        {"base_url": 5},
        {"params": {"p": 5}},
        {"params": {"p": None}},
    ],
    ids=str,
)
def test_settings_of_the_wrong_type_are_refused(settings: dict[str, object]) -> None:
    """A setting of the wrong type is refused when it is given, by its name."""
    with pytest.raises(TypeError, match=next(iter(settings))):
        Reranker("fireworks", **settings)


@pytest.mark.parametrize("name", ["timeout", "deadline"])
@pytest.mark.parametrize("value", [0, -1, -0.5, float("nan"), float("inf")])
def test_times_are_positive_and_finite(name: str, value: float) -> None:
    """Times are positive numbers of seconds."""
    with pytest.raises(ValueError, match=name):
        Reranker("fireworks", **{name: value})


@pytest.mark.parametrize(
    "headers",
    [
        {"x a": "1"},
        {"": "1"},
        {"x:": "1"},
        {"x\r\ny": "1"},
        {"x-a": "s3cr3t\r\nx-b: 1"},
        {"x-a": "s3cr3t\0"},
        {"x-a": "s3cr3tü"},
    ],
    ids=repr,
)
def test_headers_that_could_not_be_sent_are_refused(headers: dict[str, str]) -> None:
    """A header that would break the request is refused, without showing its value."""
    with pytest.raises(ValueError, match="headers") as caught:
        Reranker("fireworks", headers=headers)
    assert "s3cr3t" not in str(caught.value)


def test_headers_of_ones_own_win(server: HostileServer, acme: Acme, rerank: Rerank) -> None:
    """A caller's headers go along, and stand for ours of the same name in whatever case."""
    rerank(acme(headers={"X-Tenant": "5", "AUTHORIZATION": "Token t", "Content-Type": "application/json; v=2"}))
    (seen,) = server.requests
    assert seen.headers["x-tenant"] == "5"
    assert seen.headers["authorization"] == "Token t"
    assert seen.headers["content-type"] == "application/json; v=2"
