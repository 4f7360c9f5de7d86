"""Bodies of a 200 that are no ranking of three documents, by what is wrong with them."""

from typing import Any

from tests.hostile import ranked


def _items(*items: Any) -> dict[str, Any]:
    return {"results": list(items), "data": list(items)}


def _first(**changed: Any) -> dict[str, Any]:
    """Three results, the first of them changed."""
    good = ranked(0.3, 0.2, 0.1)["results"]
    return _items(good[0] | changed, *good[1:])


def _number(token: str) -> str:
    """Three results, the first score of which is a token that JSON does not have or that no float holds."""
    return '{"results": [{"index": 0, "relevance_score": %s}, ' % token + (  # noqa: UP031 - braces
        '{"index": 1, "relevance_score": 0.2}, {"index": 2, "relevance_score": 0.1}]}'
    )


MALFORMED: dict[str, Any] = {
    "index too high": _first(index=3),
    "index negative": _first(index=-1),
    "index huge": _first(index=2**64),
    "index twice": _first(index=1),
    "index true": _items(*({"index": i, "relevance_score": 0.1} for i in (True, 0, 2))),
    "index false": _first(index=False),
    "index a string": _first(index="0"),
    "index a float": _first(index=0.0),
    "index null": _first(index=None),
    "index an array": _first(index=[0]),
    "index missing": _items({"relevance_score": 0.3}, *ranked(0.3, 0.2, 0.1)["results"][1:]),
    "score null": _first(relevance_score=None),
    "score a string": _first(relevance_score="0.3"),
    "score true": _first(relevance_score=True),
    "score an object": _first(relevance_score={"value": 0.3}),
    "score missing": _items({"index": 0}, *ranked(0.3, 0.2, 0.1)["results"][1:]),
    "score NaN": _number("NaN"),
    "score Infinity": _number("Infinity"),
    "score -Infinity": _number("-Infinity"),
    "score beyond a float": _number("1e999"),
    "one too few": ranked(0.3, 0.2),
    "one too many": ranked(0.3, 0.2, 0.1, 0.0),
    "no results": _items(),
    "results missing": {"object": "list", "model": "m"},
    "results null": {"results": None, "data": None},
    "results an object": {"results": {"0": 0.3}, "data": {"0": 0.3}},
    "results a string": {"results": "none", "data": "none"},
    "result null": _items(None, None, None),
    "result a number": _items(0.3, 0.2, 0.1),
    "result an array": _items([0, 0.3], [1, 0.2], [2, 0.1]),
    "body null": "null",
    "body a number": "3",
    "body a string": '"ok"',
    "body a bare array": ranked(0.3, 0.2, 0.1)["results"],
    "body an empty object": {},
    "body an error object": {"error": {"message": "The model is gone", "code": "E-17"}},
    "body a flat error": {"object": "error", "code": None, "message": "The model is gone"},
    "body empty": "",
    "body half": '{"results": [{"index": 0, "rel',
    "body with a tail": '{"results": []} {"results": []}',
    "body HTML": "<!doctype html><html><body>Please log in</body></html>",
    "body not UTF-8": b'{"results": "\xff\xfe"}',
    "body too deep": "[" * 20_000 + "]" * 20_000,
}
