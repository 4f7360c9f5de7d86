"""The documentation's own picture, in a real Chromium."""

from pathlib import Path
from typing import Any

import pytest

DOCS = Path(__file__).parents[3] / "docs"


@pytest.mark.parametrize(("column", "scrolls"), [(688, False), (328, True)], ids=["1280 pixels", "360 pixels"])
def test_picture_of_a_request(chromium: Any, column: int, scrolls: bool) -> None:  # noqa: FBT001 - a row of the table
    """On a usual screen it is whole, in the theme's column of text; on a narrow one it scrolls, its letters large."""
    page = chromium.new_page()
    picture, style = (DOCS / "outages.svg").read_text(), (DOCS / "site.css").read_text()
    page.set_content(
        f'<style>html {{ font-size: 125% }} {style}</style><div class="md-typeset" style="width: {column}px">'
        '<p><img alt="" src="outages.svg"></p></div>'
    )
    page.evaluate("svg => document.images[0].srcset = 'data:image/svg+xml,' + encodeURIComponent(svg)", picture)
    page.wait_for_function("document.images[0].naturalWidth > 0")
    assert (
        page.evaluate("document.images[0].parentElement.scrollWidth > document.images[0].parentElement.clientWidth")
        is scrolls
    )
    assert page.evaluate("document.images[0].width") >= 640
    page.close()
