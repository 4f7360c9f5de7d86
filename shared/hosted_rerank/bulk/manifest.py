"""The manifest of an output folder: which job it holds, and which parts are finished.

`manifest.json` has the job's identity: what changes its answers. Each finished part has a small file in `done/` with
the sizes and hashes of its files. When all parts are finished, the manifest lists them, so a reader needs no listing.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from hosted_rerank.bulk.job import Job, JobRun, PartResult
from hosted_rerank.bulk.parts import Input, Part, Plan
from hosted_rerank.bulk.storage import FileHash, Folder
from hosted_rerank.providers import find_provider

MANIFEST = "manifest.json"
NEUTRAL_SETTINGS = frozenset(
    {"base_url", "timeout", "deadline", "max_retries", "max_concurrency", "dedupe", "outage_timeout"}
)
"""Settings that do not change the answers."""


def identify(job: Job, source: Input, plan: Plan) -> dict[str, Any]:
    """Return what changes the answers of a job."""
    columns = {f"column {name}": value for name, value in asdict(source.columns).items()}
    settings = {name: value for name, value in job.settings.items() if name not in NEUTRAL_SETTINGS}
    about = {
        "input": plan.content,
        "provider": job.provider,
        "model": job.model or find_provider(job.provider).default_model,
        "top_n": job.top_n,
        "pairs": job.pairs,
        **columns,
        **settings,
    }
    identity: dict[str, Any] = json.loads(json.dumps(about, default=str))
    return identity


@dataclass(slots=True)
class Manifest:
    """The content of `manifest.json`.

    Args:
        identity: What changes the job's answers.
        part_rows: The maximum number of rows of a part.
        accepted: The ids of earlier identities whose answers count.
        is_complete: Whether all parts are finished.
        parts: The entries of all parts of a complete job.
    """

    identity: Mapping[str, Any]
    part_rows: int
    accepted: Sequence[str] = ()
    is_complete: bool = False
    parts: Sequence[Mapping[str, Any]] = ()

    @property
    def id(self) -> str:
        """A hash of the identity."""
        return hashlib.sha256(json.dumps(self.identity, sort_keys=True).encode()).hexdigest()[:16]

    def write(self, folder: Folder) -> None:
        """Write the manifest."""
        folder.write(MANIFEST, json.dumps(asdict(self), indent=1).encode())


def read_manifest(folder: Folder) -> Manifest | None:
    """Return the manifest of a folder, or `None` if it has none.

    Raises:
        ValueError: It cannot be read.
    """
    content = folder.read(MANIFEST)
    if content is None:
        return None
    try:
        return Manifest(**json.loads(content))
    except (ValueError, TypeError):
        raise ValueError(
            f"{folder.locate(MANIFEST)} is damaged or of another version: delete it to start this job again, which"
            " pays no finished row twice, or pass another folder"
        ) from None


def adopt(stored: Manifest | None, new: Manifest, folder: Folder, *, resume: bool, accept_changes: bool) -> Manifest:
    """Return the manifest of a run, from that of the folder and that of the job, and write it.

    Raises:
        FileExistsError: The folder holds this job, and `resume` is false.
        ValueError: The folder holds another job, and `accept_changes` is false.
    """
    if stored is not None and (folder.names("done") or folder.has_files("log")):
        new.accepted = stored.accepted
        if stored.id != new.id:
            if not accept_changes:
                raise ValueError(
                    f"output {folder.uri} holds another job ({_describe_changes(stored.identity, new.identity)}): pass"
                    " another folder, or accept_changes=True (--accept-changes) to keep its finished rows"
                )
            new.accepted = [*stored.accepted, stored.id]
        elif not resume:
            raise FileExistsError(
                f"output {folder.uri} already holds this job: pass resume=True (--resume) to continue it"
            )
    new.write(folder)
    return new


def _describe_changes(old: Mapping[str, Any], new: Mapping[str, Any]) -> str:
    names = [name for name in {**old, **new} if old.get(name) != new.get(name)]
    return ", ".join(
        "the input has another content" if name == "input" else f"{name}: {old.get(name)!r} -> {new.get(name)!r}"
        for name in names
    )


def done_name(part: int) -> str:
    """Return the name of the entry of a finished part."""
    return f"done/{part:08}.json"


def write_entry(run: JobRun, result: PartResult, files: Mapping[str, FileHash]) -> None:
    """Write the entry of a finished part, after its files."""
    entry = {"job": run.id, **asdict(result), "files": files}
    run.job.folder.write(done_name(result.number), json.dumps(entry).encode())


def load_entries(run: JobRun, parts: Sequence[Part]) -> dict[int, Mapping[str, Any]]:
    """Return the entries of finished parts of a run, by number."""
    contents = run.job.folder.read_all([done_name(part.number) for part in parts])
    entries = {part.number: _parse_entry(contents.get(done_name(part.number), b"")) for part in parts}
    return {
        part.number: entry
        for part in parts
        if (entry := entries[part.number]).get("job") == run.id and entry["rows"] == part.rows
    }


def load_results(run: JobRun, parts: Sequence[Part]) -> dict[int, PartResult]:
    """Return the results of finished parts, by number.

    A part counts if its entry is of this job, and if its files are those that the entry names, to the byte.
    """
    found: dict[int, PartResult] = {}
    for number, entry in load_entries(run, parts).items():
        files: Mapping[str, Any] = entry["files"]
        is_wanted = not (entry["failed"] and run.retry_failed)
        has_run = not run.job.trec or any(name.startswith("runs/") for name in files)
        if is_wanted and has_run and all(run.job.folder.hash(name) == tuple(files[name]) for name in files):
            found[number] = PartResult(**{each.name: entry[each.name] for each in fields(PartResult)})
    return found


def _parse_entry(content: bytes) -> Mapping[str, Any]:
    try:
        entry: Mapping[str, Any] = json.loads(content)
    except ValueError:
        return {}
    return entry if isinstance(entry, dict) and entry.keys() >= {"number", "rows", "failed", "files"} else {}
