"""`RerankBatch` in Spark, Dask, Daft and Hugging Face datasets: a good row and one that fails, written and read."""

import sys
from pathlib import Path
from typing import Any

import pytest

from hosted_rerank.bulk import RerankBatch
from hosted_rerank.bulk.batch_run import RowCounts
from tests.third_party.conftest import imported

pytestmark = pytest.mark.filterwarnings("ignore")  # what they leave open and deprecate is not ours to mend

ROWS = [
    {"id": number, "query": "What is Python?" if number < 4 else "", "documents": ["A snake.", "A language.", ""]}
    for number in range(8)
]
SPARK_SCHEMA = (
    "id long, query string, documents array<string>, ranked_ids array<long>, relevance_scores array<double>,"
    " ranks array<long>, tokens long, error string"
)


@pytest.fixture
def ranks() -> RerankBatch:
    return RerankBatch("local", top_n=2)


def check(path: Path) -> None:
    """Four rows have a ranking and four an error, with the declared types."""
    table = imported("pyarrow.parquet").read_table(path).sort_by("id")
    assert [row and sorted(row) for row in table["ranked_ids"].to_pylist()] == [[0, 1]] * 4 + [None] * 4
    assert table["error"].null_count == table["relevance_scores"].null_count == 4
    kinds = [str(table.schema.field(name).type).split(":")[-1].strip(" >") for name in ("ranks", "relevance_scores")]
    assert kinds == ["int64", "double"]


@pytest.mark.parametrize("function", ["mapInPandas", "mapInArrow"])
def test_spark(ranks: RerankBatch, function: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Spark's iterators of pandas frames, whose types are the schema's, and of Arrow batches."""
    monkeypatch.setenv("PYSPARK_PYTHON", sys.executable)
    builder = imported("pyspark.sql").SparkSession.builder.master("local[2]")
    for name, value in (("ui.enabled", "false"), ("driver.host", "127.0.0.1"), ("driver.bindAddress", "127.0.0.1")):
        builder = builder.config(f"spark.{name}", value)
    with builder.getOrCreate() as spark:
        frame = spark.createDataFrame(ROWS, "id long, query string, documents array<string>").repartition(2)
        getattr(frame, function)(ranks, SPARK_SCHEMA).write.parquet(str(tmp_path / "out"))
    check(tmp_path / "out")


def test_dask(ranks: RerankBatch, tmp_path: Path) -> None:
    """Partitions of Dask are pandas frames; it finds the types of the new columns itself, and sends nothing for it."""
    pa, pd = imported("pyarrow"), imported("pandas")
    lists = pd.array([row["documents"] for row in ROWS], dtype=pd.ArrowDtype(pa.list_(pa.string())))
    frame = imported("dask.dataframe").from_pandas(pd.DataFrame(ROWS).assign(documents=lists), npartitions=2)
    ranked = frame.map_partitions(ranks)
    assert str(ranked.dtypes["ranked_ids"]) == "list<item: int64>[pyarrow]"
    assert ranks.counts == RowCounts()
    ranked.to_parquet(tmp_path / "out")
    check(tmp_path / "out")


def test_daft(ranks: RerankBatch, tmp_path: Path) -> None:
    """A batch function of Daft makes an Arrow table of its columns."""
    daft, pa = imported("daft"), imported("pyarrow")
    kind = daft.DataType.from_arrow_type(ranks(pa.Table.from_pylist(ROWS).slice(0, 0)).to_struct_array().type)

    @daft.func.batch(return_dtype=kind)
    def rank(number: Any, query: Any, documents: Any) -> Any:
        columns = {"id": number, "query": query, "documents": documents}
        return ranks(pa.table({name: each.to_arrow() for name, each in columns.items()})).to_struct_array()

    frame = daft.from_pylist(ROWS)
    ranked = frame.select(rank(*(frame[name] for name in ROWS[0])).alias("row"))
    ranked.select(*(ranked["row"].get(field.name).alias(field.name) for field in kind.to_arrow_dtype())).write_parquet(
        str(tmp_path / "out")
    )
    check(tmp_path / "out")


@pytest.mark.parametrize(
    ("form", "processes"),
    [(None, None), (None, 2), ("arrow", None), ("pandas", 2), ("polars", None)],  # Polars does not survive the fork
)
def test_datasets(ranks: RerankBatch, form: str | None, processes: int | None, tmp_path: Path) -> None:
    """`map(batched=True)` of Hugging Face, whose first batch has no error and whose last has no ranking."""
    dataset = imported("datasets").Dataset.from_list(ROWS).with_format(form)
    ranked = dataset.map(ranks, batched=True, batch_size=2, num_proc=processes)
    ranked.with_format(None).to_parquet(str(tmp_path / "out.parquet"))
    check(tmp_path / "out.parquet")


def test_streamed_datasets(ranks: RerankBatch) -> None:
    """Rows of a streamed dataset hold Python's own values."""
    stream = imported("datasets").Dataset.from_list(ROWS).to_iterable_dataset()
    first, *_, last = stream.map(ranks, batched=True, batch_size=4)
    assert sorted(first["ranked_ids"]) == [0, 1]
    assert first["error"] is last["ranked_ids"] is None
