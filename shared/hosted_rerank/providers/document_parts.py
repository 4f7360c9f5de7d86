"""Documents of several parts, such as an image with a caption or the fields of a record: in calls and on the wire."""

import json
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, time
from decimal import Decimal
from pathlib import PurePath
from typing import Any, Literal, Self
from uuid import UUID

import yaml  # type: ignore[import-untyped] # its types are a package of their own, which only this line would need

from hosted_rerank._text import has_surrogates, is_blank, replace_surrogates
from hosted_rerank.providers.json_path import is_array, is_object

MEDIA = ("image", "video", "audio")
"""The parts that are not text: each is a URL or a data URI."""
_MEDIA_URL = re.compile(r"(https?|data|s3|gs):", re.IGNORECASE)
_WRITTEN_AS_TEXT = (date, time, Decimal, UUID, PurePath)


class Parts(str):
    """A document of several parts: the JSON text by which it is compared, measured and masked, and the parts."""

    parts: Mapping[str, Any]

    @classmethod
    def of(cls, parts: Mapping[str, Any]) -> Self:
        """Returns a document of parts, which are copied; they are valid Unicode afterwards.

        Args:
            parts: The parts by name; values are JSON, dates, UUIDs, decimals or paths.

        Raises:
            TypeError: A value is none of these.
            ValueError: A number is not finite, or an object contains itself.
        """
        given = {name: value for name, value in parts.items() if value is not None}
        text = json.dumps(given, ensure_ascii=False, allow_nan=False, default=_as_text)
        text = replace_surrogates(text) if has_surrogates([text]) else text
        document = cls(text)
        document.parts = json.loads(text)
        return document

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Parts) and str.__eq__(self, other)

    __hash__ = str.__hash__

    @property
    def is_blank(self) -> bool:
        """Whether no part shows anything."""
        return all(is_blank(text) for text in self.strings()) and not any(
            isinstance(value, (int, float)) for value in self.parts.values()
        )

    @property
    def words(self) -> str:
        """The JSON text of the parts that are text."""
        return json.dumps({name: value for name, value in self.parts.items() if name not in MEDIA}, ensure_ascii=False)

    def strings(self) -> Iterator[str]:
        """Yields each text in the parts."""
        yield from _strings(self.parts)

    def shortened(self, length: int) -> Self:
        """Returns the document with at most `length` characters of each text."""
        short = {
            name: value[:length] if isinstance(value, str) and name not in MEDIA else value
            for name, value in self.parts.items()
        }
        return type(self).of(short)


@dataclass(frozen=True, slots=True, kw_only=True)
class DocumentParts:
    """What an API takes of documents of several parts. By default it takes texts, and fields are written as text.

    Args:
        names: The names of the parts that it takes; `None` for any fields, but no media.
        models: A regular expression of the ids of the models that take media; empty for all.
        single: Whether a document has one part only.
        path: The path of the parts in a document of a request.
        fields: Other fields of a document of parts, by path.
        text: The API's name for the part `text`.
        content: How the parts are written: as the fields of one object, as a list of the content blocks of a chat, or
            as one object with its type and value.
        alike: Whether the texts beside a document with parts are written as parts too.
        beside: The paths of lists in a request that hold parts beside the documents, by part.
        as_text: How fields are written for an API that takes texts, or does not take these fields.
    """

    names: tuple[str, ...] | None = ()
    models: str = ""
    single: bool = False
    path: str = ""
    fields: Mapping[str, Any] = field(default_factory=dict[str, Any])
    text: str = "text"
    content: Literal["fields", "blocks", "typed"] = "fields"
    alike: bool = False
    beside: Mapping[str, str] = field(default_factory=dict[str, str])
    as_text: Literal["json", "yaml"] = "json"

    def takes(self, name: str, model: str | None) -> bool:
        """Returns whether a model takes a kind of media.

        Args:
            name: The kind, one of `MEDIA`.
            model: The id of the model; `None` for any.
        """
        return name in (self.names or ()) and (model is None or bool(re.search(self.models, model, re.IGNORECASE)))

    def with_text(self, media: Mapping[str, Any], text: str) -> dict[str, Any]:
        """Returns the parts of a document with media and a text; without the text where a document has one part.

        Args:
            media: The media by kind.
            text: The text, which may be blank.
        """
        return {**media, **({} if self.single or is_blank(text) else {"text": text})}

    def prepare(self, document: Parts, model: str | None) -> str:
        """Returns a document as the API takes it: with its parts, or as text.

        Args:
            document: The document.
            model: The id of the model; `None` if the API chooses it.

        Raises:
            ValueError: It has a part that cannot be sent; the message says which.
        """
        media = {name: value for name, value in document.parts.items() if name in MEDIA}
        texts = {name: value for name, value in document.parts.items() if name not in MEDIA}
        if media and Parts.of(texts).is_blank:
            texts = {}
        for name, value in media.items():
            if not self.takes(name, model):
                raise ValueError(f"has an {name}, which {model or 'the API'} does not take")
            if not isinstance(value, str) or not _MEDIA_URL.match(value):
                raise ValueError(f"has an {name} that is neither a URL nor a data URI")
        if self.names is None:
            return document
        if not self.names or not texts.keys() <= {*self.names}:
            texts = {"text": self._write(texts)}
        if not media and [*texts] == ["text"]:
            return str(texts["text"])
        if self.single and len(media) + len(texts) > 1:
            raise ValueError(f"has several parts ({', '.join(document.parts)}), where a document has one")
        return Parts.of({**media, **texts}) if {**media, **texts} != document.parts else document

    def _write(self, fields: Mapping[str, Any]) -> str:
        """Returns fields as text; of a text alone the text itself."""
        if [*fields] == ["text"] and isinstance(fields["text"], str):
            return fields["text"]
        if self.as_text == "yaml":
            return str(yaml.safe_dump(dict(fields), sort_keys=False, allow_unicode=True, width=math.inf))
        return json.dumps(fields, ensure_ascii=False)

    def encode(self, parts: Mapping[str, Any]) -> Any:
        """Returns the JSON value of the parts of a document that `prepare` has returned."""
        if self.content == "blocks":
            return [_content_block(name, value) for name, value in parts.items()]
        if self.content == "typed":
            ((name, value),) = parts.items()
            return _typed_content(name, value)
        if self.beside:
            return parts.get("text", "")
        return {self.text if name == "text" else name: value for name, value in parts.items()}


TEXT_ONLY = DocumentParts()
"""An API that takes texts."""


def _content_block(name: str, value: Any) -> dict[str, Any]:
    """Returns a part as a content block of a chat."""
    return {"type": "text", "text": value} if name == "text" else {"type": f"{name}_url", f"{name}_url": {"url": value}}


def _typed_content(name: str, value: Any) -> dict[str, Any]:
    """Returns a part as Elastic's content object; a data URI goes as it is."""
    if name == "text":
        return {"type": "text", "format": "text", "value": value}
    return {"type": name, "format": "base64" if value[:5].lower() == "data:" else "url", "value": value}


def _as_text(value: object) -> str:
    if isinstance(value, _WRITTEN_AS_TEXT):
        return str(value)
    raise TypeError(f"a value of type {type(value).__name__} is not JSON")


def _strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif is_object(value) or is_array(value):
        for each in value.values() if is_object(value) else value:
            yield from _strings(each)
