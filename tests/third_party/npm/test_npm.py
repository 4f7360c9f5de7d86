"""Packages of npm, unpatched, against the local server: Vercel's AI SDK with its providers, and OpenRouter's SDK."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.bounded import patience
from tests.third_party.conftest import Case

NODE = Path(sys.prefix, "bin", "node")

pytestmark = pytest.mark.skipif(
    not os.environ.get("THIRD_PARTY") and not NODE.exists(), reason="`make test-third-party` installs node"
)


@pytest.mark.parametrize(
    "package",
    [
        "@ai-sdk/cohere",
        "@ai-sdk/togetherai",
        "voyage-ai-provider",
        "@openrouter/sdk",
    ],
)
def test_npm(package: str, base_url: str, case: Case) -> None:
    """Each gets the two best documents with their scores."""
    program = Path(__file__).with_name("rerank.mjs")
    done = subprocess.run(
        [NODE, program, package, base_url],
        input=json.dumps({"query": case.query, "documents": case.documents}),
        env={**os.environ, "NODE_PREFIX": sys.prefix},
        capture_output=True,
        text=True,
        timeout=patience(60),
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert [tuple(pair) for pair in json.loads(done.stdout)] == case.best[:2]
