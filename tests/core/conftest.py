"""Hypothesis as these tests need it: the same examples each time, none kept on disk, no clock."""

from hypothesis import settings

settings.register_profile("repeatable", derandomize=True, database=None, deadline=None, max_examples=60)
settings.load_profile("repeatable")
