"""Reranking of millions of queries: no row is lost, and no row is paid for twice.

`RerankBatch` is the building block: a callable on batches of rows for Ray Data, Daft, Spark or a plain loop (`batches`,
`batch_run`). `run_job` runs a whole job over files by URI (`storage`). `inputs` and the formats below it read the input
in `parts`; a `worker` reranks parts as one stream, logs each row (`row_log`) and writes the files of each part
(`part_run`, `outputs`), in this process (`local_engine`) or on a Ray cluster (`on_ray`, the only module that imports
Ray). The `manifest` tells which job a folder holds. `shared_rate` is one rate limit for all workers.
"""

from hosted_rerank.bulk.batch import RerankBatch
from hosted_rerank.bulk.errors import JobError
from hosted_rerank.bulk.job import Job, JobResult, Progress
from hosted_rerank.bulk.rows import Columns
from hosted_rerank.bulk.run import run_job
from hosted_rerank.bulk.shared_rate import SharedRate

__all__ = ["Columns", "Job", "JobError", "JobResult", "Progress", "RerankBatch", "SharedRate", "run_job"]
