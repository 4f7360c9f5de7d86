"""The fields of `HostedRerank` that say what is sent of a document, and what is kept."""

from collections.abc import Callable
from typing import Annotated, Any

from langchain_core.documents import Document
from pydantic import Field, WithJsonSchema

from hosted_rerank.frameworks.settings import RerankSettings


class DocumentSettings(RerankSettings):
    """The fields of both frameworks, and those about LangChain's documents."""

    document_to_text: Annotated[Callable[[Document], Any] | None, WithJsonSchema({"type": "null"})] = Field(
        default=None,
        exclude=True,
        description=(
            "Returns what to send for a document: a text, parts (`{'image': url, 'text': caption}`) or a list of "
            "content blocks; `None` sends its `page_content`. Dumps omit it."
        ),
    )
    image_key: str | None = Field(
        default=None,
        description=(
            "The metadata key of an image: a URL, a data URI or a content block. It goes with the `page_content`, or "
            "in its place where a document has one part (Jina, DashScope, Elastic). Models without images refuse it."
        ),
    )
    metadata_fields: list[str] | None = Field(
        default=None, description="The metadata keys to send, as `name: value` lines before the `page_content`."
    )
    score_key: str = Field(default="relevance_score", description="The metadata key of the score.")
    trace_documents: bool = Field(default=False, description="Whether the traced runs show the documents.")
