"""`hosted-rerank demo`."""

from typing import Annotated

import typer

from hosted_rerank.cli.app import commands, explained


@commands.command()
def demo(
    query: Annotated[str | None, typer.Option(help="Ask this instead of the sample questions.")] = None,
    top_n: Annotated[int, typer.Option(min=1, help="Answers to show.")] = 5,
) -> None:
    """Rerank the Python FAQ in LangChain and LlamaIndex, and measure what it is worth."""
    if query is not None and not query.strip():
        raise typer.BadParameter("it is blank.", param_hint="--query")
    with explained():
        from hosted_rerank import demo as demonstration  # noqa: PLC0415 - heavy, and an extra

        demonstration.run(query, top_n)
