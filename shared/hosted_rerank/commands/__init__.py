"""The commands of `hosted-rerank`, one file each. `app` is what they share."""

from hosted_rerank.commands import bulk, demo, evaluate, rerank, serve, table
from hosted_rerank.commands.app import commands

__all__ = ["bulk", "commands", "demo", "evaluate", "rerank", "serve", "table"]
