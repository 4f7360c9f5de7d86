"""Millions of queries: rows in, ranked rows out, nothing lost and nothing paid twice.

`RerankBatch` is the building block, a callable on batches of rows for Ray Data, Daft, Spark or a loop of one's own.
`run_job` is the whole job over files: `parts` cuts the input, a `worker` does a part and remembers that it is done,
here or on a Ray cluster (`on_ray`, the only file that knows Ray). `pace` is the one rate limit of all workers, `rows`
what a batch is made of.
"""

from hosted_rerank.bulk.batch import RerankBatch
from hosted_rerank.bulk.job import Job, JobError, JobResult, Progress
from hosted_rerank.bulk.rows import Columns
from hosted_rerank.bulk.run import run_job
from hosted_rerank.bulk.shared_rate import SharedRate

__all__ = ["Columns", "Job", "JobError", "JobResult", "Progress", "RerankBatch", "SharedRate", "run_job"]
