"""A job against the address of a server, and the rows that it wrote."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from hosted_rerank.bulk import Job

Rows = Callable[..., Path]


def read(folder: Path, name: str = "parts") -> list[dict[str, Any]]:
    lines = "".join(path.read_text() for path in sorted((folder / name).iterdir())).splitlines()
    return [json.loads(line) for line in lines]


def job(source: Path | str, output: Path | str, address: str, **settings: Any) -> Job:
    return Job(
        input=str(source),
        output=str(output),
        provider="vllm",
        model="m",
        settings={"base_url": address},
        **{"part_rows": 50, **settings},
    )
