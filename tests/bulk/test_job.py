"""Jobs over files: every row once, also after a kill; bad rows set aside; the same result in the end."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner

from hosted_rerank.bulk import JobError, run_job
from hosted_rerank.bulk.job import Progress
from hosted_rerank.cli.commands import commands
from tests.bulk.jobs import Rows, job, read
from tests.hostile import HostileServer, Peer, ranking, reply


def test_bad_rows_and_a_large_one(rows: Rows, address: str, tmp_path: Path) -> None:
    """Rows that cannot be are in the dead-letter file with the reason; a row of 10 MB is one like any other."""
    source = rows(3)
    large = {"id": "large", "query": "what?", "documents": ["word " * 200_000, *["word " * 100_000] * 2]}
    bad = ["not json", "[1]", json.dumps({"id": "x", "query": "what?"}), json.dumps({"query": "?", "documents": [1]})]
    source.write_text(source.read_text() + "\n".join([*bad, json.dumps(large)]) + "\n")
    result = run_job(job(source, tmp_path / "out", address))
    assert (result.rows, result.failed) == (8, 4)
    assert [row["id"] for row in read(tmp_path / "out")] == [0, 1, 2, "large"]
    assert [letter["reason"] for letter in read(tmp_path / "out", "dead-letter")] == [
        "the line is not valid JSON (NaN and lone surrogates are not valid)",
        "the line is not a JSON object",
        "'documents' must be a list of strings",
        "'documents' must hold only strings, or mappings with a string 'text'",
    ]


def test_resume(rows: Rows, address: str, tmp_path: Path) -> None:
    """A finished part is not done again; another job's folder, and a job's own without asking, are refused."""
    source = rows(200)
    first = job(source, tmp_path / "out", address)
    run_job(first)
    with pytest.raises(FileExistsError, match="--resume"):
        run_job(first)
    with pytest.raises(ValueError, match="another job"):
        run_job(job(source, tmp_path / "out", address, top_n=1), resume=True)
    (tmp_path / "out" / "done" / "00000002.json").unlink()
    result = run_job(first, resume=True)
    assert (result.rows, result.parts, result.resumed) == (200, 4, 3)


def test_what_somebody_moved_away_is_done_again(rows: Rows, address: str, tmp_path: Path) -> None:
    """A part is done if what it wrote is there."""
    first = job(rows(200), tmp_path / "out", address, trec=True)
    run_job(first)
    (tmp_path / "out" / "parts" / "00000001.jsonl").unlink()
    (tmp_path / "out" / "runs" / "00000003.run").unlink()
    assert run_job(first, resume=True).resumed == 2
    assert len(read(tmp_path / "out")) == 200


def test_folder_of_a_first_try(server: HostileServer, rows: Rows, address: str, tmp_path: Path) -> None:
    """A job that came to nothing does not hold the folder against another one; a running one does."""
    source, out = rows(100), tmp_path / "out"
    server.play(reply(401, "no"))
    with pytest.raises(JobError):
        run_job(job(source, out, server.url))
    second = job(source, out, address)
    refused: list[str] = []

    def intrude(_: Progress) -> None:
        if not refused:
            with pytest.raises(FileExistsError) as caught:
                run_job(second, resume=True)
            refused.append(str(caught.value))

    assert run_job(second, on_progress=intrude).rows == 100
    assert "another process" in refused[0]


@pytest.mark.parametrize("url", ["http://user:sekret-word@127.0.0.1", "http://127.0.0.1/?api_key=sekret-word"])
def test_secret_in_an_address(url: str, rows: Rows, tmp_path: Path) -> None:
    """A job that cannot be is refused before anything of it is written."""
    with pytest.raises((ValueError, TypeError)):
        run_job(job(rows(1), tmp_path / "out", url))
    assert not (tmp_path / "out").exists()


def test_refused_rows_at_the_start(server: HostileServer, rows: Rows, tmp_path: Path) -> None:
    """Refused rows are set aside however many there are, as long as others are answered; where none is, it ends."""

    async def act(peer: Peer) -> None:
        wrong = any(f'"question {number}"' in peer.seen.content.decode() for number in range(60))
        await (reply(400, {"message": "too long"}) if wrong else ranking())(peer)

    server.play(act)
    result = run_job(job(rows(100, documents=2), tmp_path / "out", server.url, part_rows=20))
    assert (result.rows, result.failed) == (100, 60)
    server.play(reply(400, {"message": "no"}))
    with pytest.raises(JobError, match="InvalidRequestError"):
        run_job(job(rows(200, documents=2), tmp_path / "all", server.url, part_rows=20))


def test_404_in_between(server: HostileServer, rows: Rows, tmp_path: Path) -> None:
    """One 404 among answers is a gateway's, and passes; nothing but 404 ends the job."""
    server.play(ranking(), reply(404, "no route"), ranking())
    settings = {"concurrency": 1}
    assert run_job(job(rows(5, documents=2), tmp_path / "out", server.url, **settings)).failed == 0
    server.play(reply(404, "no such model"))
    with pytest.raises(JobError, match="NotFoundError"):
        run_job(job(rows(6, documents=2), tmp_path / "all", server.url, **settings))


def test_a_refused_key_ends_it(server: HostileServer, rows: Rows, tmp_path: Path) -> None:
    """A failure that no row causes ends the job, keeps finished parts, and fills no dead-letter file."""
    server.play(reply(401, "no"))
    with pytest.raises(JobError, match="AuthenticationError"):
        run_job(job(rows(10), tmp_path / "out", server.url))
    assert not (tmp_path / "out" / "dead-letter").exists()


def test_command(rows: Rows, address: str, tmp_path: Path) -> None:
    """The command's exit status tells of failed rows, and its errors are one line."""
    source = rows(5)
    source.write_text(source.read_text() + "{}\n")
    options = ["--provider", "vllm", "--model", "m", "--base-url", address]
    done = CliRunner().invoke(commands, ["bulk", str(source), str(tmp_path / "out"), *options])
    assert done.exit_code == 65
    assert "6 rows in 1 part, " in done.stderr
    again = CliRunner().invoke(commands, ["bulk", str(source), str(tmp_path / "out"), *options])
    assert (again.exit_code, len(again.stderr.splitlines())) == (1, 1)
    assert "--resume" in again.stderr
    missing = CliRunner().invoke(commands, ["bulk", "no-such.jsonl", str(tmp_path / "other"), *options])
    assert (missing.exit_code, "no-such.jsonl" in missing.stderr) == (1, True)
