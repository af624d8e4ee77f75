import pandas as pd
import pytest
from kedro.io import DataCatalog, DatasetError
from kedro.pipeline import Node, Pipeline
from kedro.runner import SequentialRunner

from mgn_ma.datasets.optional_parquet import OptionalParquetDataset

TYPE = "mgn_ma.datasets.optional_parquet.OptionalParquetDataset"


def test_a_table_that_was_never_written_is_none_and_one_that_was_comes_back(tmp_path):
    dataset = OptionalParquetDataset(filepath=str(tmp_path / "truth" / "videos.parquet"))
    assert dataset.load() is None
    table = pd.DataFrame({"video_id": ["-a", "b"], "theme": ["calm", "storm"]})
    dataset.save(table)
    pd.testing.assert_frame_equal(dataset.load(), table)


def test_a_broken_file_is_an_error_and_not_absence(tmp_path):
    path = tmp_path / "videos.parquet"
    path.write_text("not parquet")
    with pytest.raises(DatasetError):
        OptionalParquetDataset(filepath=str(path)).load()


def test_a_run_hands_none_to_a_node(tmp_path):
    catalog = DataCatalog.from_config({"truth": {"type": TYPE, "filepath": str(tmp_path / "none.parquet")}})
    pipeline = Pipeline([Node(lambda truth: {"known": truth is not None}, "truth", "answer", name="ask")])
    assert SequentialRunner().run(pipeline, catalog)["answer"].load() == {"known": False}
