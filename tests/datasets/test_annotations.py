"""Files that are no tables of annotations, each with the line that says so."""

import pytest

from mgn_ma.datasets.annotations import AnnotationsDataset
from mgn_ma.errors import message_for_people

HEADER = "YouTube ID,Timestamp (milliseconds),awe\n"


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "annotations/train.csv: the file is empty; download it again"),
        (
            (HEADER + "a,0,0.5\n").encode("utf-16"),
            "annotations/train.csv: the text is not UTF-8 (UTF-16, as spreadsheets write it?); save the table as CSV "
            "in UTF-8",
        ),
        (
            (HEADER + "a,0,0.5\nb,0,0.5,0.5\n").encode(),
            "annotations/train.csv: the table can't be read (Expected 3 fields in line 3, saw 4); correct the row or "
            "download the table again",
        ),
        (
            (HEADER + "a,0,0.5" + ",0.5" * 100 + "\nb,0,0.5\n").encode(),
            "annotations/train.csv: its first row has more fields than its header has names; correct the row or "
            "download the table again",
        ),
        (
            b"\n" + HEADER.encode() + b"\r\na,0" + b"," * 1_000_000,
            "annotations/train.csv: its header or first row is longer than 65536 bytes, and so not one of EEV",
        ),
        (
            HEADER.strip().encode() + b",x" * 200_000 + b"\n",
            "annotations/train.csv: its header or first row is longer than 65536 bytes, and so not one of EEV",
        ),
    ],
    ids=[
        "empty",
        "UTF-16",
        "a field too many",
        "100 fields too many in the first row",
        "a million fields in the first row",
        "200,000 columns",
    ],
)
def test_a_file_that_is_no_table_is_refused_in_one_line(tmp_path, content, message):
    file = tmp_path / "annotations/train.csv"
    file.parent.mkdir()
    file.write_bytes(content)
    with pytest.raises(Exception, match="annotations") as refused:
        AnnotationsDataset(filepath=str(file)).load()
    assert message_for_people(refused.value) == message


def test_a_table_is_loaded_and_what_is_not_there_is_no_table_s_fault(tmp_path):
    dataset = AnnotationsDataset(filepath=str(tmp_path / "train.csv"))
    with pytest.raises(Exception, match=r"train\.csv") as missing:
        dataset.load()
    assert message_for_people(missing.value) is None
    (tmp_path / "train.csv").write_text(HEADER + "a,0,0.5\n")
    assert dataset.load().to_dict("list") == {"YouTube ID": ["a"], "Timestamp (milliseconds)": [0], "awe": [0.5]}
