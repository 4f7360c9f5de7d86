"""What the LangChain and the LlamaIndex class share: settings and serialization."""
