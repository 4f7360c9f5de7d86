"""`RerankBatch`: batches of each kind, rows of each fate, outages that are waited for."""

import logging
import pickle
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import pytest

from hosted_rerank import (
    AuthenticationError,
    Dialect,
    MalformedResponseError,
    NotFoundError,
    Provider,
    RerankError,
    ServerError,
)
from hosted_rerank.bulk import Columns, RerankBatch, SharedRate
from hosted_rerank.bulk.batch_run import FAILURES_BEFORE_PROBE
from hosted_rerank.bulk.rows import make_output_columns
from hosted_rerank.bulk.shared_rate import RateGrant, UsageReport
from tests.conftest import KEY
from tests.hostile import HostileServer, Peer, ranking, reply

ROWS = [
    {"id": 1, "query": "one?", "documents": ["a", "b", "c"]},
    {"id": 2, "query": "two?", "documents": ["d", "e", "f"]},
]
SCORES = (0.25, 0.75, 0.5)


def rank(ranks: RerankBatch, rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The columns that rows get."""
    return [
        make_output_columns(row, result, ranks.columns)
        for row, result in zip(rows, ranks.rerank_rows(rows), strict=True)
    ]


def column(rows: Any, name: str) -> list[Any]:
    return [each[name] for each in rows]


def test_dict_of_columns(server: HostileServer, ranks: RerankBatch) -> None:
    """Ray Data's NumPy batches: every column is kept, five are added."""
    np = pytest.importorskip("numpy")
    documents = np.empty(2, dtype=object)
    documents[:] = [np.array(each["documents"], dtype=object) for each in ROWS]
    server.play(*[ranking(*SCORES)] * 2)
    done = ranks({"id": np.array([1, 2]), "query": np.array(["one?", "two?"], dtype=object), "documents": documents})
    assert list(done) == ["id", "query", "documents", "ranked_ids", "relevance_scores", "ranks", "tokens", "error"]
    assert done["id"].tolist() == [1, 2]
    assert done["ranked_ids"].to_pylist()[0] == [1, 2, 0]
    assert done["relevance_scores"].to_pylist()[0] == [0.75, 0.5, 0.25]
    assert done["ranks"].to_pylist()[0] == [3, 1, 2]
    assert done["error"].to_pylist() == [None, None]


def test_arrow_and_pandas(server: HostileServer, row: Provider) -> None:
    """Arrow tables get columns of fixed types, whatever is in them; data frames stay data frames."""
    pa, pd = pytest.importorskip("pyarrow"), pytest.importorskip("pandas")
    ranks = RerankBatch(row, top_n=1, columns=Columns(ids="names", error="why", tokens=None))
    rows = [{**each, "names": ["x", "y", "z"]} for each in ROWS]
    server.play(*[ranking(*SCORES)] * 9)
    table = ranks(pa.Table.from_pylist(rows))
    assert table.schema.field("why").type == pa.string()
    assert table.schema.field("ranked_ids").type == pa.list_(pa.string())
    assert "tokens" not in table.column_names
    assert table.column("ranked_ids").to_pylist()[0] == ["y"]
    assert table.column("ranks").to_pylist()[0] == [None, 1, None]
    frame = ranks(pd.DataFrame(rows))
    assert frame["ranked_ids"].tolist()[0] == ["y"]
    empty = ranks(pa.Table.from_pylist(rows).slice(0, 0))
    assert empty.schema.field("relevance_scores").type == pa.list_(pa.float64())


def test_other_kinds_of_batches(server: HostileServer, ranks: RerankBatch) -> None:
    """Lists of dicts, Polars frames, and iterators of batches; a batch whose rows all fail has the same types."""
    server.play(*[ranking(*SCORES)] * 9)
    assert column(ranks(ROWS), "ranked_ids") == [[1, 2, 0]] * 2
    assert [column(batch, "ranks")[0] for batch in ranks(iter([ROWS[:1], ROWS[1:]]))] == [[3, 1, 2]] * 2
    pl, pd = pytest.importorskip("polars"), pytest.importorskip("pandas")
    frame = ranks(pl.DataFrame(ROWS))
    failed = ranks(pl.DataFrame([{**each, "query": ""} for each in ROWS]))
    assert frame["ranked_ids"].to_list() == [[1, 2, 0]] * 2
    assert frame.schema == failed.schema
    good, bad = ranks(pd.DataFrame(ROWS)), ranks(pd.DataFrame([{**each, "query": ""} for each in ROWS]))
    assert good.dtypes["ranked_ids"] == bad.dtypes["ranked_ids"]
    assert good.dtypes["error"] == bad.dtypes["error"]


@pytest.mark.parametrize(
    ("wrong", "says"),
    [
        ({"query": None}, "'query' must be a string"),
        ({"query": "  "}, "'query' must be a string"),
        ({"documents": "text"}, "'documents' must be a list"),
        ({"documents": None}, "'documents' must be a list"),
        ({"documents": ["a", 1]}, "must hold only strings"),
    ],
)
def test_bad_rows(server: HostileServer, ranks: RerankBatch, wrong: dict[str, Any], says: str) -> None:
    """A row that is not what it should be has an error; the others are reranked."""
    server.play(ranking(*SCORES))
    done = rank(ranks, [{**ROWS[0], **wrong}, ROWS[0]])
    assert says in done[0]["error"]
    assert (done[0]["ranked_ids"], done[1]["ranked_ids"], done[1]["error"]) == (None, [1, 2, 0], None)
    assert len(server.requests) == 1


def test_a_refused_row_is_its_own_fault(server: HostileServer, row: Provider) -> None:
    """A 422 fails its row alone, and says why without the row's text."""
    server.play(ranking(*SCORES), reply(422, {"error": "too long: d"}), ranking(*SCORES))
    done = rank(RerankBatch(row, concurrency=1), [ROWS[0], ROWS[0], ROWS[0]])
    assert [each["error"] is None for each in done] == [True, False, True]
    assert "422" in done[1]["error"]


def test_when_all_are_refused_it_is_not_the_rows(server: HostileServer, row: Provider) -> None:
    """50 refusals and no answer end the work instead of filling a dead-letter file."""
    server.play(*[reply(422, "no")] * 60)
    with pytest.raises(RerankError):
        rank(RerankBatch(row), ROWS[:1] * 60)


def test_an_outage_is_waited_for(server: HostileServer, row: Provider, caplog: pytest.LogCaptureFixture) -> None:
    """While the provider is out nothing fails: probes look whether it is back, then all go on."""
    probes: list[Peer] = []

    async def act(peer: Peer) -> None:
        if len(peer.seen.body["documents"]) == 1:
            probes.append(peer)
        await (ranking(*SCORES[: len(peer.seen.body["documents"])]) if len(probes) > 1 else reply(503, "out"))(peer)

    server.play(act)
    with caplog.at_level(logging.WARNING, "hosted_rerank"):
        done = rank(RerankBatch(row, max_retries=0, concurrency=2), ROWS[:1] * 10)
    assert column(done, "error") == [None] * 10
    assert len(probes) == 2
    # one request may be on its way when the probe is sent
    assert FAILURES_BEFORE_PROBE + 12 <= len(server.requests) <= FAILURES_BEFORE_PROBE + 13
    assert len([record for record in caplog.records if record.getMessage().startswith("Provider outage")]) == 1


def test_patience_ends(server: HostileServer, row: Provider) -> None:
    """An outage that lasts longer than it may raises its error."""
    server.play(*[reply(500, "out")] * 50)
    with pytest.raises(ServerError, match="out"):
        rank(RerankBatch(row, max_retries=0, outage_timeout=0.2), ROWS[:1] * 20)


@pytest.mark.parametrize("bad_at", [0, 8, None])
def test_a_row_that_breaks_the_server_is_given_up(server: HostileServer, row: Provider, bad_at: int | None) -> None:
    """Where the provider answers others, or a probe in their place, a row that always fails is at fault itself."""

    async def act(peer: Peer) -> None:
        body = peer.seen.body
        await (reply(500, "no") if body["query"] == "bad?" else ranking(*SCORES[: len(body["documents"])]))(peer)

    server.play(act)
    bad: dict[str, Any] = {"query": "bad?", "documents": ["a", "b", "c"]}
    rows = [bad] if bad_at is None else ROWS[:1] * 8
    if bad_at is not None:
        rows.insert(bad_at, bad)
    done = rank(RerankBatch(row, max_retries=0, concurrency=1), rows)
    assert [each["error"] is None for each in done] == [each is not bad for each in rows]


@pytest.mark.parametrize(("status", "error"), [(401, AuthenticationError), (404, NotFoundError)])
def test_what_no_row_is_at_fault_for(
    server: HostileServer, ranks: RerankBatch, status: int, error: type[RerankError]
) -> None:
    """A wrong key or model raises."""
    server.play(*[reply(status, "no")] * 4)
    with pytest.raises(error):
        rank(ranks, ROWS)


def test_a_server_that_is_not_the_provider(server: HostileServer, ranks: RerankBatch) -> None:
    """Replies that are no rankings, to a probe as well, are no outage to wait for."""
    server.play(reply(200, {"welcome": "to another API"}))
    with pytest.raises(MalformedResponseError):
        rank(ranks, ROWS)


def test_pickle(server: HostileServer, row: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """It travels without a key and without a connection, and reads the environment where it arrives."""
    ranks = RerankBatch(row, top_n=2)
    content = pickle.dumps(ranks)
    assert KEY.encode() not in content
    assert server.connections == 0
    monkeypatch.setenv("ACME_API_KEY", "sk-of-the-worker")
    server.play(ranking(*SCORES))
    assert len(rank(pickle.loads(content), ROWS[:1])[0]["ranked_ids"]) == 2
    assert server.requests[0].headers["authorization"] == "Bearer sk-of-the-worker"


def test_many_in_flight(server: HostileServer, row: Provider) -> None:
    """One call keeps many requests in flight."""
    server.play(*[ranking(*SCORES, after=0.3)] * 16)
    rank(RerankBatch(row, concurrency=16), ROWS[:1] * 16)
    assert server.connections >= 12


class InProcessClient:
    """A client of a shared rate in the same process, which counts its grants."""

    def __init__(self) -> None:
        self.shared_rate = SharedRate()
        self.granted = 0
        self.reports: list[UsageReport] = []

    async def lease(self, wanted: int, reports: Sequence[UsageReport]) -> RateGrant:
        grant = self.shared_rate.lease(wanted, reports)
        self.granted += len(grant.starts)
        self.reports += reports
        return grant


def test_every_request_is_granted(server: HostileServer, row: Provider) -> None:
    """The parts of a large row and retries are requests too; what is granted and not used is given back."""

    async def act(peer: Peer) -> None:
        if len(server.requests) == 1:
            await reply(429, "", retry_after="0.1")(peer)
        await ranking(*[0.5] * len(peer.seen.body["documents"]))(peer)

    server.play(act)
    client = InProcessClient()
    rows = [{"query": "one?", "documents": ["a", "b", "c", "d", "e"]}, ROWS[0]]
    done = rank(RerankBatch(row, batch_size=2, shared_rate=client), rows)
    assert column(done, "error") == [None, None]
    assert len(server.requests) == 3 + 2 + 1
    assert client.shared_rate.counts() | {"rate": 0} == {"answered": 5, "refused": 1, "rate": 0}
    assert sorted(each.number for each in client.reports) == sorted({each.number for each in client.reports})
    assert len(client.reports) == client.granted


def test_wrong_settings(row: Provider) -> None:
    """A key in the payload is refused, as is what cannot be right."""
    with pytest.raises(TypeError, match="environment"):
        RerankBatch(row, api_key=KEY)
    with pytest.raises(TypeError, match=r"headers\['X-Api-Key'\]"):
        RerankBatch(row, headers={"X-Api-Key": KEY})
    for settings in ({"headers": {"x-any": "a"}}, {"params": {"sig": "a"}}, {"extra_body": {"sig": "a"}}):
        with pytest.raises(TypeError, match="would be sent to workers"):
            RerankBatch(replace(row, dialect=Dialect(allows_extra_fields=True)), **settings)
    with pytest.raises(TypeError, match="on_error"):
        RerankBatch(row, on_error="passthrough")
    with pytest.raises(ValueError, match="concurrency"):
        RerankBatch(row, concurrency=0)
    with pytest.raises(TypeError, match="not int"):
        RerankBatch(row)(7)
