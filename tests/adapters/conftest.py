"""Fixtures for the promises that both adapters make."""

from tests.adapters.fixtures import asking, do, host, rank

__all__ = ["asking", "do", "host", "rank"]
