from __future__ import annotations

import pytest

from xcomctl.model.schemes import store_scheme


@pytest.mark.parametrize(
    ("scheme", "store"),
    [("s3", "s3"), ("s3a", "s3"), ("S3N", "s3"), ("gcs", "gs"), ("abfss", "abfs"), ("adl", "abfs"), ("local", "file"),
     ("file", "file"), ("hdfs", "hdfs"), ("", "")],
)  # fmt: skip
def test_schemes_of_one_store(scheme, store):
    assert store_scheme(scheme) == store
