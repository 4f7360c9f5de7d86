"""Cuts the documents of a call into batches that the API accepts, and a refused batch into smaller ones.

The size of a batch is limited by `batch_size`, by the provider's limits on documents, bytes and tokens, and by what
the process learned from refusals. After a refusal one part is sent first, and the other texts wait for its outcome. So
a refusal for another reason costs one more request, and a limit is learned only when a smaller request succeeded.
"""

import math
import operator
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

import orjson

from hosted_rerank._text import BYTES_PER_TOKEN
from hosted_rerank.call.batching import Batch, Plan
from hosted_rerank.call.passages import long_document_remedy
from hosted_rerank.call.request_encoding import encode_body, not_json_error
from hosted_rerank.errors import SizeRefusal, SizeUnit
from hosted_rerank.limits.learned_sizes import SizeLimit
from hosted_rerank.providers.document_parts import Parts
from hosted_rerank.wire import TextIndex

_PAIR_BYTES = 8
"""Bytes that stand for the special tokens of a pair of query and document."""

Limits: TypeAlias = Mapping[SizeUnit, float]
"""The largest sizes of a request."""


@dataclass(slots=True)
class RequestSizes:
    """Measures requests of a plan: documents, bytes of the body, and estimated tokens with the query for each document.

    Args:
        plan: The call.
    """

    plan: Plan
    _known: dict[tuple[SizeUnit, TextIndex], float] = field(default_factory=dict[tuple[SizeUnit, TextIndex], float])
    _body: tuple[int, int] | None = None
    """The bytes of a body without documents, and those that each empty document adds."""

    def measure(self, unit: SizeUnit, texts: Sequence[TextIndex]) -> float:
        """Returns the size of a request.

        Args:
            unit: The unit.
            texts: The texts of its documents.
        """
        return self.fixed(unit) + sum(self.of_text(unit, text) for text in texts)

    def fixed(self, unit: SizeUnit) -> int:
        """Returns the size of a request without documents."""
        return self._measure_body()[0] if unit == "bytes" else 0

    def of_text(self, unit: SizeUnit, index: TextIndex) -> float:
        """Returns what a text adds to the size of a request."""
        if unit == "documents":
            return 1
        size = self._known.get((unit, index))
        if size is None:
            text = self.plan.texts[index]
            call = self.plan.call
            if unit == "bytes":
                size = self._measure_body()[1] + _json_bytes(text)
            else:
                words = text.words if isinstance(text, Parts) else text
                pair = (words, call.query, call.instruction or "")
                size = (sum(map(_json_bytes, pair)) + _PAIR_BYTES) / BYTES_PER_TOKEN
            self._known[unit, index] = size
        return size

    def _measure_body(self) -> tuple[int, int]:
        """Returns the bytes of a body without documents, and those that each document adds to its text."""
        if self._body is None:
            try:
                one, two = (len(encode_body(self.plan, [""] * count, None)) for count in (1, 2))
            except TypeError:
                raise not_json_error(self.plan.endpoint.provider.name) from None
            self._body = one - (two - one), two - one
        return self._body


def cut(sizes: RequestSizes, texts: Sequence[TextIndex], learned: Limits) -> list[Batch]:
    """Returns texts as batches of about the same size, within all limits.

    If a text alone is larger than a learned limit, the shortest such text is sent first, and the others wait for its
    outcome.

    Args:
        sizes: Measures the requests of the call.
        texts: The texts to send.
        learned: The limits that were learned from the API's refusals.

    Raises:
        InvalidRequestError: The texts need several requests, and the model is listwise.
    """
    plan = sizes.plan
    if not texts:
        return []
    if learned and (too_long := [text for text in texts if _exceeds(sizes, [text], learned)]):
        first = min(too_long, key=lambda text: sizes.of_text("bytes", text))
        return [Batch([first], deferred=[text for text in texts if text != first])]
    limits = _limits(plan, learned)
    count = math.ceil(len(texts) / min(limits.pop("documents", math.inf), len(texts)))
    batches = [Batch(part) for part in _parts(sizes, texts, count, limits)]
    if len(batches) > 1:
        plan.check_may_split(len(texts), len(batches))
    return batches


def split(sizes: RequestSizes, batch: Batch, refusal: SizeRefusal, learned: Limits) -> Batch | None:
    """Returns the part of a refused batch to send first; `None` if a smaller request would be refused too.

    Args:
        sizes: Measures the requests of the call.
        batch: The batch.
        refusal: What the API says about its size.
        learned: The limits that were learned from the API's refusals.
    """
    unit, texts = refusal.unit, batch.text_indices
    if len(texts) == 1 or (unit != "bytes" and refusal == batch.refusal):  # the same words again
        return None
    if unit != "documents":
        texts = sorted(texts, key=lambda text: sizes.of_text(unit, text))
    size, fixed = sizes.measure(unit, texts), sizes.fixed(unit)
    stated = refusal.limit and refusal.limit * size / (refusal.size or size)  # the API may count in its own way
    half = fixed + (size - fixed) / 2
    limit = next(limit for limit in (stated, learned.get(unit), half) if limit and limit < size)
    part, *_ = _parts_within(sizes, texts, {unit: limit})
    rest = [*texts[len(part) :], *batch.deferred]
    return Batch(part, sorted(rest), refusal, SizeLimit(unit, int(limit), math.ceil(size)))


def _limits(plan: Plan, learned: Limits) -> dict[SizeUnit, float]:
    """Returns all limits on the size of a request."""
    provider, facts = plan.endpoint.provider, plan.endpoint.facts
    stated: tuple[tuple[SizeUnit, int | None], ...] = (
        ("documents", plan.call_options.batch_size or facts.max_documents),
        ("bytes", provider.max_bytes),
        ("tokens", facts.max_tokens),
    )
    limits = dict[SizeUnit, float](learned)
    for unit, limit in stated:
        if limit is not None:
            limits[unit] = min(limit, limits.get(unit, limit))
    return limits


def _exceeds(sizes: RequestSizes, texts: Sequence[TextIndex], limits: Limits) -> bool:
    return any(sizes.measure(unit, texts) > limit for unit, limit in limits.items())


def _parts(
    sizes: RequestSizes, texts: Sequence[TextIndex], count: int, limits: Limits
) -> Iterator[Sequence[TextIndex]]:
    """Yields texts in `count` parts of about the same length, and these in parts within the limits."""
    for number in range(count):
        part = texts[len(texts) * number // count : len(texts) * (number + 1) // count]
        yield from _parts_within(sizes, part, limits) if limits else (part,)


def _parts_within(sizes: RequestSizes, texts: Sequence[TextIndex], limits: Limits) -> Iterator[Sequence[TextIndex]]:
    """Yields texts in parts within the limits; a longer text is a part of its own."""
    empty = [sizes.fixed(unit) for unit in limits]
    start, used = 0, list[float](empty)
    for position, text in enumerate(texts):
        added = [sizes.of_text(unit, text) for unit in limits]
        used = list(map(operator.add, used, added))
        if position > start and any(map(operator.gt, used, limits.values())):
            yield texts[start:position]
            start, used = position, list(map(operator.add, empty, added))
    yield texts[start:]


def _json_bytes(text: str) -> int:
    """Returns the bytes of a text in JSON, without the quotes."""
    return len(orjson.dumps(text)) - 2


def too_long_hint(plan: Plan, sizes: RequestSizes, text: TextIndex, refusal: SizeRefusal, learned: int | None) -> str:
    """Returns which document is too long for a request, its length, the limit and the remedy.

    Args:
        plan: The call.
        sizes: The sizes of its texts.
        text: The text of the document.
        refusal: What the API said about the size of the request.
        learned: The largest size that is sent, if it is known.
    """
    unit, size = refusal.unit, math.ceil(sizes.measure(refusal.unit, [text]))
    limit = f"the limit is {refusal.limit:,}" if refusal.limit else "the limit is lower"
    limit += f" ({learned:,} is the largest that is sent)" if learned and not refusal.limit else ""
    return (
        f"documents[{plan.document_indices[text]}] is too long by itself: it has {len(plan.texts[text]):,} characters,"
        f" a request with it and the query has {'about ' if unit == 'tokens' else ''}{size:,} {unit}, and {limit}:"
        f" {long_document_remedy(plan.endpoint, plan.call_options)}"
    )
