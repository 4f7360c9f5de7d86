"""Fixtures for what only this adapter promises."""

from tests.adapters.fixtures import asking, do

__all__ = ["asking", "do"]
