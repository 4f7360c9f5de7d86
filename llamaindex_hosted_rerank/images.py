"""The image of a node as a URL or a data URI."""

from base64 import b64encode
from mimetypes import guess_type
from pathlib import Path

from llama_index.core.schema import BaseNode, ImageNode, MediaResource, Node


def node_image(node: BaseNode) -> str | None:
    """Return the image of a node: its URL, or a data URI of its data or its file.

    Args:
        node: The node.

    Returns:
        The image; `None` if the node has none.

    Raises:
        OSError: The file of the image cannot be read.
    """
    if isinstance(node, ImageNode):
        data, path, url, mimetype = node.image, node.image_path, node.image_url, node.image_mimetype
    elif isinstance(node, Node) and node.image_resource is not None:
        data, path, url, mimetype = _of_resource(node.image_resource)
    else:
        return None
    if data:
        return f"data:{mimetype or 'image/png'};base64,{data}"
    if url:
        return url
    if not path:
        return None
    kind = mimetype or guess_type(path)[0] or "image/png"
    return f"data:{kind};base64,{b64encode(Path(path).read_bytes()).decode()}"


def _of_resource(image: MediaResource) -> tuple[str | None, str | None, str | None, str | None]:
    """Return the data in base64, the path, the URL and the type of a resource."""
    data = image.data.decode() if image.data else None
    return data, str(image.path) if image.path else None, str(image.url) if image.url else None, image.mimetype
