"""What a resumed job trusts, what makes a job another one, and what is sent again; counted at a server."""

import json
import os
from pathlib import Path
from typing import Any

import pytest

from hosted_rerank.bulk import Columns, JobError, run_job
from tests.bulk.counted import CountingServer, counting
from tests.bulk.jobs import Rows, job, read
from tests.hostile import HostileServer, Peer, ranking, reply


def finished(source: Path, out: Path, server: CountingServer, **settings: Any) -> int:
    """Run a job over 100 rows in two parts, resumed; the number of requests that it takes."""
    before = server.total
    assert run_job(job(source, out, server.url, **settings), resume=True).rows == 100
    return server.total - before


def test_damaged_output(rows: Rows, tmp_path: Path) -> None:
    """A part that is cut, changed or of another job is written again from the log; what the log lacks is sent."""
    source, out = rows(100, documents=2), tmp_path / "out"
    with counting(0) as server:
        assert finished(source, out, server, trec=True) == 100
        part, log = out / "parts" / "00000000.jsonl", next((out / "log" / "00000000").iterdir())
        whole = part.read_bytes()
        for damaged in (whole[:-9], whole.replace(b"question 7", b"question 8"), b""):
            part.write_bytes(damaged)
            assert finished(source, out, server, trec=True) == 0
            assert part.read_bytes() == whole
        log.write_bytes(log.read_bytes()[:-5])  # the last line is cut
        (out / "done" / "00000000.json").write_text("{")
        (out / "parts" / ".00000000.jsonl.x.temporary").write_text("left by a killed worker")
        assert finished(source, out, server, trec=True) == 1
        assert part.read_bytes() == whole
        assert not list(out.rglob("*.temporary"))


def test_identity(rows: Rows, tmp_path: Path) -> None:
    """What does not change the answers continues a job; what does is refused with the difference, or accepted."""
    source, out = rows(100, documents=2), tmp_path / "out"
    with counting(0) as server, counting(0) as other:
        assert finished(source, out, server) == 100
        (tmp_path / "moved").mkdir()
        moved = source.rename(tmp_path / "moved" / "named.jsonl")
        os.utime(moved, (1, 1))
        assert finished(moved, out, other, part_rows=7, concurrency=3, trec=True) == 0
        assert len((out / "run.trec").read_text().splitlines()) == 200
        with pytest.raises(ValueError, match=r"another job \(top_n: None -> 1\).*--accept-changes"):
            run_job(job(moved, out, server.url, top_n=1), resume=True)
        lines = moved.read_text().splitlines(keepends=True)
        moved.write_text("".join([lines[1], lines[0].replace("question 0", "another question"), *lines[2:]]))
        with pytest.raises(ValueError, match="another content"):
            run_job(job(moved, out, server.url), resume=True)
        before = server.total
        run_job(job(moved, out, server.url), resume=True, accept_changes=True)
        assert server.total - before == 1
    assert [row["query"] for row in read(out)[:3]] == ["question 1", "another question", "question 2"]


def test_files_of_another_job(rows: Rows, tmp_path: Path) -> None:
    """Parts, entries and logs that were copied from another job's folder do not count."""
    source, out = rows(100, documents=2), tmp_path / "out"
    with counting(0) as server:
        run_job(job(source, tmp_path / "other", server.url, top_n=1))
        finished(source, out, server)
        for name in ("parts/00000001.jsonl", "done/00000001.json"):
            (out / name).write_bytes((tmp_path / "other" / name).read_bytes())
        (mine,), (others,) = [list((tmp_path / name / "log" / "00000001").iterdir()) for name in ("out", "other")]
        mine.write_bytes(others.read_bytes())
        assert finished(source, out, server) == 50


def test_manifest(rows: Rows, tmp_path: Path) -> None:
    """The manifest of a finished job lists all files; a damaged one is named with what to do, and costs nothing."""
    source, out = rows(100, documents=2), tmp_path / "out"
    with counting(0) as server:
        finished(source, out, server)
        path = out / "manifest.json"
        manifest = json.loads(path.read_text())
        assert manifest["is_complete"]
        assert [list(part["files"]) for part in manifest["parts"]] == [
            ["parts/00000000.jsonl"],
            ["parts/00000001.jsonl"],
        ]
        path.write_text("{")
        with pytest.raises(ValueError, match=r"manifest\.json is damaged.*delete it"):
            run_job(job(source, out, server.url), resume=True)
        path.unlink()
        assert finished(source, out, server) == 0


def test_retry_failed(server: HostileServer, rows: Rows, tmp_path: Path) -> None:
    """Dead letters stay where they are until they are asked for again; the other rows are not."""
    refused = True

    async def act(peer: Peer) -> None:
        is_bad = refused and peer.seen.body["query"] in ("question 3", "question 70")
        await (reply(400, {"message": "too long"}) if is_bad else ranking(0.5, 0.25))(peer)

    server.play(act)
    first = job(rows(100, documents=2), tmp_path / "out", server.url)
    assert run_job(first).failed == 2
    refused, before = False, len(server.requests)
    assert run_job(first, resume=True).failed == 2
    assert len(server.requests) == before
    assert run_job(first, resume=True, retry_failed=True).failed == 0
    assert len(server.requests) == before + 2
    assert [row["id"] for row in read(tmp_path / "out")] == list(range(100))
    assert not list((tmp_path / "out" / "dead-letter").iterdir())


def test_wrong_columns(tmp_path: Path) -> None:
    """An input of which no row can be sent ends before anything is sent or written, with what to pass."""
    source = tmp_path / "rows.jsonl"
    source.write_text('{"id": "1", "question": "what?", "passages": ["a"]}\n' * 3)
    with counting(0) as server:
        with pytest.raises(JobError, match="id, question, passages: pass --query question --documents passages"):
            run_job(job(source, tmp_path / "out", server.url))
        assert not (tmp_path / "out" / "manifest.json").exists()
        columns = Columns("question", "passages")
        assert run_job(job(source, tmp_path / "out", server.url, columns=columns)).rows == 3
