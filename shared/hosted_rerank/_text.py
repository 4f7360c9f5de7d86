"""Which texts are blank, and texts made valid Unicode."""

from collections.abc import Iterable
from itertools import filterfalse
from operator import itemgetter

_IGNORABLE = (
    *((0x00AD, 0x00AD), (0x034F, 0x034F), (0x061C, 0x061C), (0x115F, 0x1160), (0x17B4, 0x17B5), (0x180B, 0x180F)),
    *((0x200B, 0x200F), (0x202A, 0x202E), (0x2060, 0x206F), (0x3164, 0x3164), (0xFE00, 0xFE0F), (0xFEFF, 0xFEFF)),
    *((0xFFA0, 0xFFA0), (0xFFF0, 0xFFF8), (0x1BCA0, 0x1BCA3), (0x1D173, 0x1D17A), (0xE0000, 0xE0FFF)),
)
"""Default_Ignorable_Code_Point of Unicode 16.0 (DerivedCoreProperties.txt): joiners, soft hyphens, marks of direction,
variation selectors, fillers. It leaves out format characters that are visible, such as Arabic number signs."""

_CONTROL = ((0x00, 0x1F), (0x7F, 0x9F))
_SPACES = ((0x20, 0x20), (0xA0, 0xA0), (0x1680, 0x1680), (0x2000, 0x200A), (0x2028, 0x2029), (0x202F, 0x202F))
_MORE_SPACES = ((0x205F, 0x205F), (0x3000, 0x3000))
_NO_INK = ((0x2800, 0x2800), (0xFFF9, 0xFFFB))
"""The Braille pattern without dots, and the marks around an annotation."""

_INVISIBLE = frozenset(
    chr(code)
    for first, last in (*_CONTROL, *_SPACES, *_MORE_SPACES, *_IGNORABLE, *_NO_INK)
    for code in range(first, last + 1)
)
_INVISIBLE_STARTS = _INVISIBLE | {""}
_start = itemgetter(slice(1))

BYTES_PER_TOKEN = 3
"""Estimates the tokens of a text, on the safe side: English has about 4 bytes per token, Chinese 3."""


def is_blank(text: str) -> bool:
    """Returns whether a text shows nothing: it is empty, or all of it is white space or invisible."""
    return _INVISIBLE.issuperset(text)


def may_have_blank(texts: Iterable[str]) -> bool:
    """Returns whether one of the texts may be blank, from their first characters, in one fast loop."""
    return not _INVISIBLE_STARTS.isdisjoint(map(_start, texts))


def has_surrogates(texts: Iterable[str]) -> bool:
    """Returns whether one of the texts has a surrogate, which UTF-8 does not have, in one fast loop.

    Raises:
        TypeError: An item is not a str.
    """
    try:
        for _ in map(str.encode, filterfalse(str.isascii, texts)):
            pass
    except UnicodeEncodeError:
        return True
    return False


def replace_surrogates(text: str) -> str:
    """Returns a text as valid Unicode: two surrogates that are a pair are joined, a lone one becomes U+FFFD."""
    return text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
