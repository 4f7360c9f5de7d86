"""Imports every command, which adds them to the application."""

from hosted_rerank.cli import bulk, demo, evaluate, providers, rerank, serve
from hosted_rerank.cli.app import commands

__all__ = ["bulk", "commands", "demo", "evaluate", "providers", "rerank", "serve"]
