"""The settings, overrides and serialization that the LangChain and the LlamaIndex package share."""
