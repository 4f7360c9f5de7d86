"""The page as routes for the local server. It spends the keys of this environment, so only this machine may use it.

A request is refused if its `Host` or `Origin` is not this machine, and a form if another page sent it: its `Origin`
must be the address of the page, port included. The page runs no script and takes nothing from elsewhere, which its
Content-Security-Policy says too.
"""

from collections.abc import Sequence
from importlib.resources import files
from urllib.parse import parse_qs

from jinja2 import Environment, PackageLoader
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response
from starlette.routing import Route

from hosted_rerank.local import MODEL
from hosted_rerank.local.server import read_body, served_names
from hosted_rerank.local.visitors import is_foreign
from hosted_rerank.playground.trial import CANDIDATES, Column, Form, available_providers, run

MAX_FORM = 2**20
"""The largest form in bytes."""
HEADERS = {
    "content-security-policy": "default-src 'none'; style-src 'self'; img-src data:; form-action 'self';"
    " frame-ancestors 'none'; base-uri 'none'",
    "referrer-policy": "same-origin",  # with "no-referrer", a browser's Origin would be null
    "x-content-type-options": "nosniff",
    "cache-control": "no-store",
}
_TEMPLATE = Environment(loader=PackageLoader("hosted_rerank.playground", ""), autoescape=True).get_template("page.html")
_STYLE = (files("hosted_rerank.playground") / "page.css").read_text(encoding="utf-8")


def routes(host: str) -> list[Route]:
    """Returns the routes of the page.

    Args:
        host: The address of this machine that the server listens on.
    """

    async def answer(request: Request) -> Response:
        if _is_refused(request, host):
            return PlainTextResponse("foreign Host or Origin", 403, HEADERS)
        if request.method != "POST":
            return _render(request, Form())
        body = await read_body(request, MAX_FORM)
        if len(body) > MAX_FORM:
            return _render(request, Form(), problem="The documents are too large.", status=413)
        form = _parse(body)
        if problem := form.problem():
            return _render(request, form, problem=problem, status=422)
        return _render(request, form, await run(form))

    async def style(_: Request) -> Response:
        return Response(_STYLE, 200, HEADERS, "text/css")

    return [Route("/", answer, methods=["GET", "POST"]), Route("/page.css", style)]


def _is_refused(request: Request, host: str) -> bool:
    """Returns whether a request is not from this machine's own page."""
    headers = request.headers
    if is_foreign(headers, host, (request.scope.get("server") or ("",))[0]):
        return True
    own = f"{request.url.scheme}://{headers.get('host')}"
    from_another = headers.get("sec-fetch-site", "none") not in ("same-origin", "none")
    return request.method == "POST" and (from_another or headers.get("origin", own) != own)


def _parse(body: bytes) -> Form:
    """Returns the form that a browser sent, without providers that have no key."""
    fields = parse_qs(body.decode(errors="replace"), keep_blank_values=True)
    return Form(
        query=fields.get("query", [""])[0],
        documents=fields.get("documents", [""])[0],
        use_faq=fields.get("source") == ["faq"],
        providers=[each.name for each in available_providers() if each.name in fields.get("provider", [])],
        models={name.removeprefix("model-"): values[0].strip() for name, values in fields.items()},
    )


def _render(
    request: Request, form: Form, columns: Sequence[Column] = (), *, problem: str = "", status: int = 200
) -> HTMLResponse:
    """Returns the page."""
    page = _TEMPLATE.render(
        model=MODEL,
        candidates=CANDIDATES,
        base=str(request.base_url).rstrip("/"),
        served=served_names(),
        available=available_providers(),
        form=form,
        columns=columns,
        problem=problem,
    )
    return HTMLResponse(page, status, HEADERS)
