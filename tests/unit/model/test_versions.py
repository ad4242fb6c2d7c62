from __future__ import annotations

import pytest

from xcomctl.model.versions import COMMON_IO_KNOWN_BAD, UNIVERSAL_PATHLIB_KNOWN_BAD, missing_object_gives_path


def failures(rows, airflow, version):
    return [row.failure for row in rows if row.matches(airflow, version)]


@pytest.mark.parametrize(
    ("airflow", "common_io", "expected"),
    [
        ("2.11.2", "1.11.0", []),
        ("3.3.2", "1.11.0", []),
        ("2.9.0", "1.3.0", ["F10"]),
        ("2.9.1", "1.3.1", ["F10"]),
        ("2.9.2", "1.3.2", []),
        ("2.10.5", "1.6.0", []),
        ("2.10.5", "1.6.1", ["F16"]),
        ("2.11.0", "1.6.2", ["F16"]),
        ("2.11.0", "1.6.3", []),
        ("3.0.2", "1.6.1", []),
        ("3.0.0", "1.5.3", ["F11"]),
        ("3.0.0", "1.5.4", []),
        ("3.0.1", "1.5.4", ["F9"]),
        ("3.0.1", "1.5.2", ["F9", "F11"]),
        ("3.0.2", "1.5.4", []),
        ("3.0.3", "1.6.0", ["F9"]),
        ("3.0.4", "1.6.2", ["F9"]),
        ("3.0.5", "1.6.2", []),
        # What is to become a version has its faults and its mends; what is built on one is that one.
        ("3.0.4rc2", "1.6.0", ["F9"]),
        ("2.11.0", "1.6.3rc1", []),
        ("2.11.0", "1.6.2+mine.1", ["F16"]),
        ("3.1.0.dev0", "1.5.3", ["F11"]),
    ],
)
def test_common_io(airflow, common_io, expected):
    assert failures(COMMON_IO_KNOWN_BAD, airflow, common_io) == expected


@pytest.mark.parametrize(
    ("airflow", "pathlib", "expected"),
    [
        ("3.0.6", "0.3.0", ["F19"]),
        ("3.1.0", "0.3.10", ["F19"]),
        ("3.1.1", "0.3.10", []),
        ("3.3.2", "0.3.10", []),
        ("3.0.6", "0.2.6", []),
        ("2.9.0", "0.3.1", ["F19"]),
        ("2.10.5", "0.3.1", ["F19"]),
        ("2.11.0", "0.3.1", []),
        ("2.10.5", "0.2.6", []),
    ],
)
def test_universal_pathlib(airflow, pathlib, expected):
    assert failures(UNIVERSAL_PATHLIB_KNOWN_BAD, airflow, pathlib) == expected


def test_every_row_says_what_to_install():
    from packaging.requirements import Requirement

    for row in (*COMMON_IO_KNOWN_BAD, *UNIVERSAL_PATHLIB_KNOWN_BAD):
        fix = Requirement(row.fix)
        assert fix.name in (row.package, "apache-airflow")
        # The mend is no version that the same row condemns.
        for clause in fix.specifier:
            if clause.operator == ">=":
                fixed = (clause.version, "1.11.0") if fix.name == "apache-airflow" else (None, clause.version)
                assert not row.matches(fixed[0] or row.airflow.lstrip("<>=").split(",")[0], fixed[1])


@pytest.mark.parametrize(
    ("common_io", "path"), [("1.6.1", False), ("1.6.2", True), ("1.11.0", True), ("1.6", False), ("2.0.0rc1", True)]
)
def test_what_a_missing_object_gives(common_io, path):
    assert missing_object_gives_path(common_io) is path
