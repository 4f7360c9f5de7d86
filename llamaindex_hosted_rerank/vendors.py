"""`HostedRerank` for a single vendor, with the parameters of that vendor."""

from hosted_rerank.frameworks.settings import FireworksSettings, NebiusSettings
from llamaindex_hosted_rerank.postprocessor import HostedRerank


class FireworksRerank(FireworksSettings, HostedRerank):
    """`HostedRerank` for Fireworks. It reads the key from `FIREWORKS_API_KEY`.

    The default model is `accounts/fireworks/models/qwen3-reranker-8b`; the id of a deployment is sent
    unchanged (`accounts/<account>/deployments/<id>`, or `<model>#<deployment>`). `instruction` is sent as `task`.
    """


class NebiusRerank(NebiusSettings, HostedRerank):
    """`HostedRerank` for Nebius Token Factory. It reads the key from `NEBIUS_API_KEY`.

    The default model is `Qwen/Qwen3-Reranker-8B`. The API takes no instruction and no `top_n`; `top_n` is
    applied to its response.
    """
