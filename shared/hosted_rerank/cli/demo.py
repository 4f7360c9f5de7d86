"""The command `hosted-rerank demo`."""

from typing import Annotated

import typer

from hosted_rerank._text import is_blank
from hosted_rerank.cli.app import commands, report_errors


@commands.command()
def demo(
    query: Annotated[str | None, typer.Option(help="A question to ask in place of the sample questions.")] = None,
    top_n: Annotated[int, typer.Option(min=1, help="The number of answers to show.")] = 5,
) -> None:
    """Rerank the Python FAQ and measure the gain. It runs in LangChain and in LlamaIndex."""
    if query is not None and is_blank(query):
        raise typer.BadParameter("it is blank: pass a question.", param_hint="--query")
    with report_errors():
        from hosted_rerank import demo as demonstration  # noqa: PLC0415 - slow, and an extra

        demonstration.run(query, top_n)
