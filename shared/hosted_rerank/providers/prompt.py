"""A prompt in place of a document."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Prompt:
    """A prompt template, for a reranker that is called as a language model with one prompt for each document.

    Args:
        template: The prompt, with `{instruction}`, `{query}` and `{document}`.
        instruction: The instruction of calls that have none.
    """

    template: str
    instruction: str

    def write(self, query: str, document: str, instruction: str | None) -> str:
        """Returns the prompt; a control token in a text (`<|im_end|>`) is split, because it could end the prompt."""
        texts = {"query": query, "document": document, "instruction": instruction or self.instruction}
        return self.template.format_map({name: text.replace("<|", "< |") for name, text in texts.items()})
