"""Runs `hosted-rerank` as `python -m hosted_rerank.cli`."""

from hosted_rerank.cli import main

if __name__ == "__main__":
    main()
