"""`ContextManagerMixin`: what has connections to let go of, as a context manager of both kinds."""

from typing import Self


class ContextManagerMixin:
    """Closed at the end of a `with` or an `async with`. No ABC: pydantic's models have a metaclass of their own."""

    def close(self) -> None:
        raise NotImplementedError

    async def aclose(self) -> None:
        raise NotImplementedError

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *exception: object) -> None:
        await self.aclose()
