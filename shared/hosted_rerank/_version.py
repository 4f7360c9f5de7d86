"""The version of the package, apart from `hosted_rerank` so that a module below can import it."""

__version__ = "0.1.0"
