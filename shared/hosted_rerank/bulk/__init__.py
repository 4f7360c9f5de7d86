"""Reranking of millions of queries: no row is lost, and no finished row is paid for twice.

`RerankBatch` is the building block: a callable on batches of rows for Ray Data, Daft, Spark or a plain loop. `run_job`
runs a whole job over files. `parts`, `inputs` and `beir` read the input; a `worker` reranks one part at a time and
writes its files (`outputs`), in this process or on a Ray cluster (`on_ray`, the only module that imports Ray).
`shared_rate` is one rate limit for all workers. `rows` converts batches, `batch_run` reranks one batch.
"""

from hosted_rerank.bulk.batch import RerankBatch
from hosted_rerank.bulk.job import Job, JobError, JobResult, Progress
from hosted_rerank.bulk.rows import Columns
from hosted_rerank.bulk.run import run_job
from hosted_rerank.bulk.shared_rate import SharedRate

__all__ = ["Columns", "Job", "JobError", "JobResult", "Progress", "RerankBatch", "SharedRate", "run_job"]
