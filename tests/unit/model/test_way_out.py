"""The lines that end an incident: what has to be set from each phase, and what to clear afterwards."""

from __future__ import annotations

import pytest

from xcomctl.model.phases import OBJECT_STORAGE_BACKEND
from xcomctl.model.way_out import clear_steps, hard_step, once, pull_step, settings_lines, steps, with_contexts

PATH = "s3://store@bucket/xcom"
BACKEND_LINE = f"AIRFLOW__CORE__XCOM_BACKEND={OBJECT_STORAGE_BACKEND}"
PATH_LINE = f"AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH={PATH}"
THRESHOLD_LINE = 'AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_THRESHOLD="-1"'


@pytest.mark.parametrize(
    ("phase", "lines"),
    [
        ("offload", [THRESHOLD_LINE]),  # the soft kill-switch: backend and path stay
        ("dual-read", []),
        ("misconfigured", [PATH_LINE, THRESHOLD_LINE]),
        ("inline", [BACKEND_LINE, PATH_LINE, THRESHOLD_LINE]),
        ("unknown", [BACKEND_LINE, PATH_LINE, THRESHOLD_LINE]),
    ],
)
def test_every_phase_leads_to_dual_read(phase, lines):
    assert list(settings_lines(phase, PATH)) == lines
    said = list(steps(phase, PATH, " -D staging"))
    assert said[-1] == "xcomctl status -D staging"
    assert all(line in said[0] for line in lines) and len(said) == (2 if lines else 1)


def test_a_path_that_nobody_knows_is_a_pattern_to_fill_in():
    assert "AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_PATH=s3://CONNECTION@BUCKET/xcom" in list(
        settings_lines("inline", None)
    )


def test_what_to_clear_is_named_with_its_run_and_also_where_it_succeeded():
    (line,) = clear_steps("dag", "run 1", [f"task[{number}]" for number in range(12)], " -D staging")
    assert "task[0], task[1]" in line and "and 2 more of dag run 1" in line and "only_failed=false" in line
    assert line.endswith("xcomctl retrigger -d dag -r 'run 1' -D staging")
    assert list(clear_steps("dag", "run", [])) == []


def test_a_command_can_be_typed_whatever_the_run_is_called():
    assert pull_step("dag", "it's 1", " --via x") == """xcomctl pull -d dag -r 'it'"'"'s 1' --via x"""
    assert once(["a", "b", "a"]) == ("a", "b")


def test_the_carrier_of_a_deployment_need_not_be_named():
    assert next(steps("offload", PATH, " -D prod")).startswith("xcomctl killswitch --carrier FILE -D prod  # or set")
    assert next(steps("offload", PATH, " -D prod", "")).startswith("xcomctl killswitch -D prod  # or set")
    assert hard_step(" -D prod").startswith("xcomctl killswitch --hard --carrier FILE -D prod  #")
    assert hard_step(" -D prod", "").startswith("xcomctl killswitch --hard -D prod  #")


@pytest.mark.parametrize(
    ("hint", "said"),
    [
        ("xcomctl probe", "xcomctl probe -D prod"),
        ("correct it; xcomctl preflight --only provider", "correct it; xcomctl preflight --only provider -D prod"),
        (
            "xcomctl refs --dangling -d dag -r 'run 1'  # and clear\nX=1\nxcomctl refs --at-risk",
            "xcomctl refs --dangling -d dag -r 'run 1' -D prod  # and clear\nX=1\nxcomctl refs --at-risk -D prod",
        ),
        ("it comes with xcomctl dags export dag FOLDER", "it comes with xcomctl dags export dag FOLDER"),
        ("airflow db check", "airflow db check"),
        ("", ""),
    ],
)
def test_a_hints_commands_name_the_contexts_before_their_remarks(hint, said):
    assert with_contexts(hint, " -D prod") == said
    assert with_contexts(hint, "") == hint
    assert with_contexts("xcomctl probe", r" --via 'x \1'") == r"xcomctl probe --via 'x \1'"
