"""The commands of `hosted-rerank`, one file each. `app` is what they share."""

from hosted_rerank.commands import demo, evaluate, rerank, serve, table
from hosted_rerank.commands.app import commands

__all__ = ["commands", "demo", "evaluate", "rerank", "serve", "table"]
