"""`HostedRerank` for one vendor each, with the vendor's own parameters."""

from hosted_rerank.frameworks.settings import FireworksSettings, NebiusSettings
from llamaindex_hosted_rerank.postprocessor import HostedRerank


class FireworksRerank(FireworksSettings, HostedRerank):
    """`HostedRerank` for Fireworks; reads `FIREWORKS_API_KEY`.

    The default model is `accounts/fireworks/models/qwen3-reranker-8b`; a deployment's id passes verbatim
    (`accounts/<account>/deployments/<id>`, or `<model>#<deployment>`). `instruction` is sent as Fireworks' `task`.
    """


class NebiusRerank(NebiusSettings, HostedRerank):
    """`HostedRerank` for Nebius Token Factory; reads `NEBIUS_API_KEY`.

    The default model is `Qwen/Qwen3-Reranker-8B`. The API takes no instruction, and no `top_n`, which is applied here.
    """
