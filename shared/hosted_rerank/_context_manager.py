"""A mixin for classes with connections to close, usable in `with` and in `async with`."""

from typing import Self


class ContextManagerMixin:
    """Closes an object at the end of a `with` or an `async with` block.

    It is not an ABC, because pydantic's models have a metaclass of their own.
    """

    def close(self) -> None:
        """Closes the connections of blocking calls."""
        raise NotImplementedError

    async def aclose(self) -> None:
        """Closes the connections of blocking calls and of the running event loop."""
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()
