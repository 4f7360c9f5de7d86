"""A page to try rerankers on, at `/` of the local server: rankings side by side, and their code."""
