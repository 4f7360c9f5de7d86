"""Oracle's own SDK: against the local server, and as what signs our requests."""

import asyncio
import base64
import hashlib
from dataclasses import replace
from pathlib import Path

import httpx
import pytest
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from hosted_rerank import PROVIDERS, AuthenticationError, Reranker
from tests.hostile import HostileServer, Seen, reply
from tests.third_party.conftest import Case, imported

pytestmark = pytest.mark.filterwarnings("ignore")  # what it leaves open and deprecates is not ours to mend

ROW = replace(PROVIDERS["oracle"], url="http://oracle.{region}.example/20231130/actions/rerankText", allow_http=True)
SETTINGS = {"model": "ocid1.endpoint", "params": {"region": "us-chicago-1"}, "options": {"compartmentId": "c"}}
ANSWER = {"documentRanks": [{"index": 0, "relevanceScore": 0.9}]}


@pytest.fixture
def key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> rsa.RSAPrivateKey:
    """The private key of the user whose configuration file is found."""
    imported("oci")
    made = rsa.generate_private_key(65537, 2048)
    encoding, none = serialization.Encoding.PEM, serialization.NoEncryption()
    pem = made.private_bytes(encoding, serialization.PrivateFormat.PKCS8, none)
    (tmp_path / "key.pem").write_bytes(pem)
    fingerprint = ":".join(["ab"] * 16)
    lines = ["[DEFAULT]", "user=ocid1.user.oc1..u", "tenancy=ocid1.tenancy.oc1..t", f"fingerprint={fingerprint}"]
    (tmp_path / "config").write_text("\n".join([*lines, "region=us-chicago-1", f"key_file={tmp_path / 'key.pem'}"]))
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("OCI_CONFIG_FILE", str(tmp_path / "config"))
    return made


def verify(seen: Seen, key: rsa.RSAPrivateKey) -> None:
    """Raises unless the signature of a request as it arrived is the key's."""
    fields = dict(part.split("=", 1) for part in seen.headers["authorization"].partition(" ")[2].split(","))
    names = fields["headers"].strip('"').split()
    assert {"(request-target)", "host", "date", "x-content-sha256"} <= set(names)
    digest = base64.b64encode(hashlib.sha256(seen.content).digest()).decode()
    assert seen.headers["x-content-sha256"] == digest
    values = {**seen.headers, "(request-target)": "post /20231130/actions/rerankText"}
    signed = "\n".join(f"{name}: {values[name]}" for name in names).encode()
    signature = base64.b64decode(fields["signature"].strip('"'))
    key.public_key().verify(signature, signed, padding.PKCS1v15(), hashes.SHA256())


@pytest.mark.parametrize("way", ["blocking", "awaiting"])
def test_requests_are_signed(key: rsa.RSAPrivateKey, way: str) -> None:
    """The request that arrives is signed with the key of the user's file, body included."""
    with HostileServer() as server, httpx.Client(proxy=server.url) as client:
        server.play(reply(200, ANSWER))
        if way == "blocking":
            Reranker(ROW, client=client, **SETTINGS).rerank("q", ["one"])
        else:
            own = httpx.AsyncClient(proxy=server.url)
            asyncio.run(Reranker(ROW, async_client=own, **SETTINGS).arerank("q", ["one"]))
        (seen,) = server.requests
    verify(seen, key)


def test_without_credentials(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing is sent, and the error says what to do."""
    imported("oci")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("OCI_CONFIG_FILE", raising=False)
    with httpx.Client() as client, pytest.raises(AuthenticationError, match="oci setup config"):
        Reranker(ROW, client=client, **SETTINGS).rerank("q", ["one"])


def test_oracles_client(key: rsa.RSAPrivateKey, base_url: str, case: Case) -> None:
    """Oracle's client gets scores, and texts where it asks for them."""
    inference, config = imported("oci.generative_ai_inference"), imported("oci.config").from_file()
    client = inference.GenerativeAiInferenceClient(config, service_endpoint=f"{base_url}/oracle")
    models = inference.models
    response = client.rerank_text(
        models.RerankTextDetails(
            input=case.query,
            compartment_id="c",
            serving_mode=models.DedicatedServingMode(endpoint_id="ocid1.endpoint"),
            documents=case.documents,
            top_n=2,
        )
    )
    assert [(rank.index, rank.relevance_score) for rank in response.data.document_ranks] == case.best[:2]
