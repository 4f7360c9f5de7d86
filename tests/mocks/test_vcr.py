"""Cassettes of vcrpy: recorded against a real server, replayed without one, and never with a key in them."""

import json
from pathlib import Path
from typing import Any

import pytest
import vcr
from vcr.errors import CannotOverwriteExistingCassetteException

from tests.conftest import DOCUMENTS
from tests.hostile import HostileServer, ranked, reply
from tests.mocks.conftest import Ask


@pytest.fixture
def recorder(tmp_path: Path) -> vcr.VCR:
    """As a user sets it up: cassettes below a folder, the key's header left out."""
    return vcr.VCR(cassette_library_dir=str(tmp_path), filter_headers=["authorization"], match_on=["uri", "raw_body"])


@pytest.mark.parametrize("batch_size", [None, 1])
def test_record_and_replay(ask: Ask, key: str, recorder: vcr.VCR, tmp_path: Path, batch_size: int | None) -> None:
    """The responses of a server are replayed when the server is gone, of one request and of several."""
    with HostileServer() as server:
        server.play(_by_length)
        settings: dict[str, Any] = {"base_url": server.url, "batch_size": batch_size, "timeout": 5.0}
        with recorder.use_cassette("tape.yaml"):
            assert ask(**settings) == [1, 2, 0]
        asked = len(server.requests)
        assert asked == (len(DOCUMENTS) if batch_size else 1)
        assert {seen.headers["authorization"] for seen in server.requests} == {f"Bearer {key}"}
    tape = (tmp_path / "tape.yaml").read_text()
    assert key not in tape
    assert "authorization" not in tape.lower()
    with recorder.use_cassette("tape.yaml", record_mode="none") as cassette:
        assert ask(**settings) == [1, 2, 0]
        assert cassette.play_count == asked


async def _by_length(peer: Any) -> None:
    """Ranks documents as if each were known."""
    scores = dict(zip(DOCUMENTS, (0.1, 0.3, 0.2), strict=True))
    await reply(200, ranked(*(scores[text] for text in peer.seen.body["documents"])))(peer)


def test_errors_are_recorded_too(ask: Ask, recorder: vcr.VCR) -> None:
    """A refusal and the retry after it are replayed as they were."""
    with HostileServer() as server:
        server.play(reply(503, "no", retry_after="0"), _by_length)
        with recorder.use_cassette("tape.yaml"):
            assert ask(base_url=server.url, max_retries=1) == [1, 2, 0]
    with recorder.use_cassette("tape.yaml", record_mode="none") as cassette:
        assert ask(base_url=server.url, max_retries=1) == [1, 2, 0]
        assert cassette.play_count == 2


@pytest.mark.parametrize(
    "more", [{}, {"batch_size": 1}, {"on_error": "passthrough"}, {"fallbacks": ["local"]}], ids=str
)
def test_empty_cassette(ask: Ask, recorder: vcr.VCR, server: HostileServer, more: dict[str, Any]) -> None:
    """A request that is on no cassette is vcrpy's own error: not retried, passed through, or given to a fallback."""
    with (
        recorder.use_cassette("tape.yaml", record_mode="none"),
        pytest.raises(CannotOverwriteExistingCassetteException, match=r"tape\.yaml"),
    ):
        ask(base_url=server.url, **more)
    assert server.connections == 0


def test_other_request_than_recorded(ask: Ask, recorder: vcr.VCR, server: HostileServer) -> None:
    """A cassette of another question answers nothing."""
    with recorder.use_cassette("tape.yaml"):
        ask(base_url=server.url)
    with (
        recorder.use_cassette("tape.yaml", record_mode="none"),
        pytest.raises(CannotOverwriteExistingCassetteException),
    ):
        ask(["one", "two"], base_url=server.url)
    assert len(server.requests) == 1


def test_json_cassette(ask: Ask, recorder: vcr.VCR, server: HostileServer, tmp_path: Path) -> None:
    """The body that is recorded is the JSON that was sent."""
    with recorder.use_cassette("tape.json", serializer="json"):
        ask(base_url=server.url)
    (interaction,) = json.loads((tmp_path / "tape.json").read_text())["interactions"]
    assert interaction["request"]["method"] == "POST"
    assert json.loads(interaction["request"]["body"]) == server.requests[0].body
