"""`python -m hosted_rerank.cli`: the command `hosted-rerank`."""

from hosted_rerank.cli import main

if __name__ == "__main__":
    main()
