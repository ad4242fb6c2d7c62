"""Checks of the categories provider and config, each in a context that is broken for real.

An agent is asked as often as its context allows: what is expected comes with the request, what resolves comes from the
variables (and packages) that it was started with.
"""

from __future__ import annotations

import os
import re
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

import pytest

from tests.support.preflight import Asked, Context, context, offload
from tests.support.walk import THRESHOLD as OFFLOADED_FROM
from tests.support.walk import Walk
from xcomctl.deployment.agent_session import AgentSession
from xcomctl.deployment.reach.local import LocalReach
from xcomctl.model.phases import BASE_XCOM, BASE_XCOM_SPELLINGS, DEFAULT_BASE_XCOM, OBJECT_STORAGE_BACKEND, Line
from xcomctl.model.settings import BACKEND, COMPRESSION, PATH, SETTINGS, THRESHOLD
from xcomctl.model.verdicts import Check, Status

CONFIG = ("config",)
STATE_STORE = "AIRFLOW__COMMON_IO__STATE_STORE_OBJECTSTORAGE_PATH"
BACKEND_LINE = f"{BACKEND.env}={OBJECT_STORAGE_BACKEND}"
FLOOR_LINE = f'{THRESHOLD.env}="1600000"'


def failed(asked: Asked, check_id: str, *said: str, status: Status = Status.FAIL) -> Check:
    """The check, which did not pass and says all of this."""
    check = asked[check_id]
    assert check.status is status, check
    for words in said:
        assert words in check.detail, check
    assert check.hint, check
    return check


def statuses(asked: Asked, *check_ids: str) -> set[Status]:
    return {asked[check_id].status for check_id in check_ids}


# -- nothing is set: the expectations are what is wrong


@pytest.fixture(scope="module")
def bare(walk: Walk) -> Iterator[Context]:
    """A context in which nothing is set, beside running processes in which path and threshold are."""
    with context(walk) as opened:
        yield opened


def test_expectations_that_are_not_met_name_both_sides_the_source_and_the_line(walk: Walk, bare: Context) -> None:
    asked = bare.preflight(expect_backend=OBJECT_STORAGE_BACKEND, expect_path=walk.base_path, expect_threshold=30_000,
                           only=CONFIG)  # fmt: skip
    default = DEFAULT_BASE_XCOM[Line(walk.line)]
    backend = failed(asked, "config_backend", f"expected {OBJECT_STORAGE_BACKEND}, resolved {default} from airflow.cfg")
    path = failed(asked, "config_path", f"expected {walk.base_path}, resolved an empty text from airflow.cfg")
    threshold = failed(asked, "config_threshold", "expected 30000, resolved -1 from airflow.cfg")
    assert backend.hint == BACKEND_LINE
    assert path.hint == f"{PATH.env}={walk.base_path}"
    assert threshold.hint == f'{THRESHOLD.env}="30000"'
    # The processes of the walk were started with this path: a fresh one alone has it not (F41).
    assert re.search(rf"; the running [a-z-]+ \(pid \d+, started \S+\) has {re.escape(walk.base_path)}$", path.detail)
    assert "running" not in threshold.detail
    assert asked["config_compression"].status is Status.OK
    # It is in the settings and not in Airflow that these fail.
    assert statuses(asked, "config_class", "config_prefix", "config_threshold_floor", "config_threshold_number",
                    "config_near_misses") == {Status.OK}  # fmt: skip


def test_a_path_without_the_backend_offloads_nothing(walk: Walk, bare: Context) -> None:
    asked = bare.preflight(expect_path=walk.base_path, expect_threshold=30_000, only=("config_phase",))
    check = failed(asked, "config_phase", "inline", "nothing is offloaded whatever path", status=Status.WARN)
    assert check.hint == BACKEND_LINE


def test_another_phase_than_the_wanted_one_gets_the_lines_that_are_missing(walk: Walk, bare: Context) -> None:
    asked = bare.preflight(phase="offload", expect_path=walk.base_path, expect_threshold=30_000, only=("config_phase",))
    check = failed(asked, "config_phase", "expected offload, and the settings are inline")
    assert check.hint == f'{BACKEND_LINE} {PATH.env}={walk.base_path} {THRESHOLD.env}="30000"'


def test_what_is_planned_is_judged_in_itself(walk: Walk, bare: Context) -> None:
    asked = bare.preflight(
        expect_path=walk.base_path, expect_threshold=30_000, phase="offload", planned=True, only=CONFIG
    )
    assert {check.status for check in asked.checks.values() if check.id != "config_running"} == {Status.OK}
    assert asked["config_path"].detail == f"planned: {walk.base_path}; resolves now: an empty text from airflow.cfg"
    assert asked["config_phase"].detail.startswith("planned: offload: the threshold is 30000")
    assert "; now inline: " in asked["config_phase"].detail


@pytest.mark.parametrize(
    ("path", "words"),
    [("bucket/xcom", "has no scheme"), ("", "is empty"), ("s3:///xcom", "names no bucket"), ("file:///", "no folder")],
)
def test_a_planned_path_that_is_none(bare: Context, path: str, words: str) -> None:
    asked = bare.preflight(expect_path=path, planned=True, phase="dual-read", only=CONFIG)
    assert failed(asked, "config_path", words).hint == f"{PATH.env}=s3://CONNECTION@BUCKET/xcom"
    assert f"{PATH.env}=s3://" in failed(asked, "config_phase", "misconfigured", words).hint
    assert failed(asked, "config_prefix", words).hint == f"{PATH.env}=s3://CONNECTION@BUCKET/xcom"


def test_a_prefix_of_its_own(bare: Context) -> None:
    asked = bare.preflight(expect_path="s3://some_conn@bucket/", planned=True, only=("config_prefix",))
    check = failed(asked, "config_prefix", "has no prefix", "the root of bucket")
    assert check.hint == f"{PATH.env}=s3://some_conn@bucket/xcom"


def test_a_compression_that_is_not_deployed(bare: Context) -> None:
    asked = bare.preflight(expect_compression="gzip", only=("config_compression",))
    check = failed(asked, "config_compression", "expected gzip, resolved an empty text from ")
    assert check.hint == f"{COMPRESSION.env}=gzip"


def test_a_planned_compression_is_judged_as_the_backend_would(walk: Walk, bare: Context) -> None:
    """``gz`` is the provider's own example, and every large write raises with it (F23)."""
    only = ("config_compression", "provider_compression")
    asked = bare.preflight(expect_path=walk.base_path, expect_compression="gz", planned=True, only=only)
    for check_id in only:
        assert failed(asked, check_id, "gz", "suffix").hint == f"{COMPRESSION.env}=gzip"
    assert "resolved gz from --expect-compression" in asked["provider_compression"].detail
    asked = bare.preflight(expect_path=walk.base_path, expect_compression="gzip", planned=True, only=only)
    assert statuses(asked, *only) == {Status.OK}
    assert asked["config_compression"].detail.startswith("planned: gzip; resolves now: an empty text")
    assert asked.answer.target["compression"] == "gzip"


def test_a_threshold_that_contradicts_the_phase(walk: Walk, bare: Context) -> None:
    asked = bare.preflight(expect_path=walk.base_path, phase="offload", expect_threshold=-1, planned=True, only=CONFIG)
    assert failed(asked, "config_phase", "expected offload", "dual-read").hint == FLOOR_LINE
    floor = failed(asked, "config_threshold_floor", "nothing reaches the store")
    assert floor.hint == FLOOR_LINE
    other = bare.preflight(
        expect_path=walk.base_path, phase="dual-read", expect_threshold=30_000, planned=True, only=CONFIG
    )
    assert failed(other, "config_phase", "expected dual-read", "offload").hint == f'{THRESHOLD.env}="-1"'


def test_the_floor(walk: Walk, bare: Context) -> None:
    below = bare.preflight(expect_path=walk.base_path, expect_threshold=9_999, only=("config_threshold_floor",))
    assert failed(below, "config_threshold_floor", "9999", "10000", "skipmixin_key").hint == FLOOR_LINE
    at = bare.preflight(expect_path=walk.base_path, expect_threshold=10_000, only=("config_threshold_floor",))
    assert at["config_threshold_floor"].status is Status.OK


def test_a_running_process_with_other_settings(walk: Walk, bare: Context) -> None:
    asked = bare.preflight(only=("config_running",))
    check = failed(asked, "config_running", f"path there {walk.base_path}, here an empty text",
                   f"threshold there {OFFLOADED_FROM}, here -1")  # fmt: skip
    running = {each["pid"]: each["component"] for each in check.data["processes"]}
    assert running
    for pid, component in running.items():
        assert f"AIRFLOW_HOME={walk.env['AIRFLOW_HOME']}" in Path(f"/proc/{pid}/environ").read_text().split("\0")
        assert f"{component} (pid {pid}" in check.hint
    assert check.hint.startswith("restart ")
    # Both lines' backend is Airflow's own, in two spellings (F48).
    assert "backend" not in check.detail


def test_the_file_system_of_the_scheme_is_not_installed(bare: Context) -> None:
    only = ("provider_filesystem",)
    for path, package in (
        ("gs://c@bucket/xcom", "apache-airflow-providers-google"),
        ("abfs://c@container/xcom", "apache-airflow-providers-microsoft-azure"),
    ):
        asked = bare.preflight(expect_path=path, only=only)
        check = failed(asked, "provider_filesystem", path.partition("c@")[0], "No module named")
        assert check.hint == f"pip install '{package}'"
    asked = bare.preflight(expect_path="ftp://c@host/xcom", only=only)
    assert "s3, gs, abfs or file" in failed(asked, "provider_filesystem", "Airflow cannot open ftp://").hint
    asked = bare.preflight(expect_path="file:///tmp/xcom", only=only)
    assert asked["provider_filesystem"].status is Status.OK


def test_a_class_that_is_no_xcom_class(bare: Context) -> None:
    asked = bare.preflight(expect_backend="collections.OrderedDict", only=("provider_backend_class",))
    check = failed(asked, "provider_backend_class", "cannot import collections.OrderedDict",
                   "`OrderedDict` is not a subclass of `BaseXCom`")  # fmt: skip
    assert check.hint == BACKEND_LINE


def test_a_class_under_another_name(walk: Walk, tmp_path: Path) -> None:
    module = OBJECT_STORAGE_BACKEND.rpartition(".")[0]
    (tmp_path / "of_ours.py").write_text(f"from {module} import XComObjectStorageBackend as Ours\n")
    with context(walk, {"PYTHONPATH": str(tmp_path)}) as opened:
        asked = opened.preflight(
            expect_backend="of_ours.Ours", only=("provider_backend_class", "config_phase"), planned=True
        )
    check = failed(
        asked, "provider_backend_class", "expected of_ours.Ours", "XCom.__name__ is XComObjectStorageBackend"
    )
    assert check.hint == BACKEND_LINE
    assert failed(asked, "config_phase", "unknown", "of_ours.Ours").hint == BACKEND_LINE


# -- variables that are wrong


def test_variables_that_look_right(walk: Walk, tmp_path: Path) -> None:
    """Dotted (F13), ``_CMD``, another section in airflow.cfg, Helm's number (F35), a suffix for a codec (F23)."""
    dotted = PATH.env.replace("COMMON_IO", "COMMON.IO")
    command = f"{THRESHOLD.env}_CMD"
    file = tmp_path / "airflow.cfg"
    file.write_text("[common_io]\nxcom_objectstorage_path = s3://c@b/x\n[core]\nxcom_backends = x\n")
    variables = {
        BACKEND.env: OBJECT_STORAGE_BACKEND,
        dotted: walk.base_path,
        command: "echo 30000",
        THRESHOLD.env: "1.6e+06",
        COMPRESSION.env: "gz",
        STATE_STORE: f"{walk.base_path}/state",
        "AIRFLOW_CONFIG": str(file),
    }
    with context(walk, variables) as opened:
        asked = opened.preflight(expect_path=walk.base_path, expect_threshold=1_600_000, only=("config", "provider"))
        beside = opened.preflight(expect_path=f"{walk.base_path}/staten", only=("config_prefix",))
    near = failed(asked, "config_near_misses", f"{dotted} is not read", f"{command} is not read",
                  "[common_io] xcom_objectstorage_path is not read", "[core] xcom_backends is not read")  # fmt: skip
    assert f"{dotted} → {PATH.env};" in near.hint
    assert f"remove {command}, {THRESHOLD.env} is set" in near.hint
    assert "[common_io] xcom_objectstorage_path → [common.io] xcom_objectstorage_path" in near.hint
    assert "echo" not in near.detail + near.hint
    path = failed(asked, "config_path", f"expected {walk.base_path}, resolved")
    assert path.hint.startswith(f"{PATH.env}={walk.base_path} (Airflow does not read {dotted}")
    assert f"{PATH.env}=s3://" in failed(asked, "config_phase", "misconfigured", "is empty").hint
    assert failed(asked, "config_threshold_number", f"1.6e+06 from {THRESHOLD.env}", "Airflow 2.x").hint == FLOOR_LINE
    if walk.line == "2":
        failed(asked, "config_threshold", "Airflow cannot read 1.6e+06", "Failed to convert value to int")
        assert asked["config_threshold"].hint.startswith(FLOOR_LINE)
    else:
        assert asked["config_threshold"].status is Status.OK
    codec = failed(asked, "provider_compression", f"resolved gz from {COMPRESSION.env}", "gzip", "suffix")
    assert codec.hint == f"{COMPRESSION.env}=gzip"
    # The state store lies below the target's path: a sweep of the one would take the other's objects (F33).
    shared = failed(asked, "config_prefix", f"state_store_objectstorage_path is {walk.base_path}/state")
    assert shared.hint.startswith(f"{PATH.env}=")
    assert beside["config_prefix"].status is Status.OK


@pytest.mark.parametrize(
    ("path", "threshold", "words", "hint"),
    [
        (None, None, "is empty", f"{PATH.env}=s3://CONNECTION@BUCKET/xcom"),
        ("bucket/xcom", "30000", "has no scheme", f"{PATH.env}=s3://CONNECTION@BUCKET/xcom"),
        ("s3://c@b/x", "1.6 MB", "is not a whole number", FLOOR_LINE),
    ],
)
def test_every_way_to_be_misconfigured(
    walk: Walk, path: str | None, threshold: str | None, words: str, hint: str
) -> None:
    """The backend is kept and what it needs is gone or cannot be read (F6)."""
    variables = {BACKEND.env: OBJECT_STORAGE_BACKEND, PATH.env: path, THRESHOLD.env: threshold}
    with context(walk, {name: value for name, value in variables.items() if value is not None}) as opened:
        asked = opened.preflight(only=("config_phase", "config_threshold_number", "config_prefix", "config_threshold"))
    assert failed(asked, "config_phase", "misconfigured", words).hint.startswith(hint)
    if threshold == "1.6 MB":
        assert failed(asked, "config_threshold_number", "1.6 MB").hint == FLOOR_LINE
        assert failed(asked, "config_threshold", "Airflow cannot read 1.6 MB").hint == FLOOR_LINE
    else:
        failed(asked, "config_prefix", words)


def test_a_class_that_airflow_cannot_import(walk: Walk) -> None:
    """What Airflow says of a wrong path, and not its misleading last word (F18)."""
    wrong = f"{OBJECT_STORAGE_BACKEND}Typo"
    with context(walk, {BACKEND.env: wrong, COMPRESSION.env: "snappy"}) as opened:
        opened.preflight(only=("config_class",))
        asked = opened.preflight(
            only=("config_class", "config_phase", "provider_compression", "provider_backend_class")
        )
    # Asked a second time, 2.x itself would say something else.
    check = failed(asked, "config_class", f"{wrong!r}, from {BACKEND.env}", "could not be loaded", "does not define")
    assert "already defined" not in check.detail
    assert check.hint == f"{BACKEND_LINE} (now set by {BACKEND.env})"
    backend = failed(asked, "provider_backend_class", f"Airflow cannot import {wrong}", "could not be loaded")
    assert backend.hint == BACKEND_LINE
    assert failed(asked, "config_phase", "unknown").hint == BACKEND_LINE
    codec = failed(asked, "provider_compression", "resolved snappy", "not installed")
    assert codec.hint == "pip install python-snappy"


def test_airflow_3s_own_class_on_either_line(walk: Walk) -> None:
    name = DEFAULT_BASE_XCOM[Line.AF3]
    with context(walk, {BACKEND.env: name}) as opened:
        asked = opened.preflight(only=("config_class", "provider_backend_class"), expect_backend=name)
    if walk.line == "3":
        assert statuses(asked, "config_class", "provider_backend_class") == {Status.OK}
        return
    check = failed(asked, "config_class", f"{name!r}, from {BACKEND.env}", "No module named 'airflow.sdk'")
    assert check.hint.startswith(f"{BACKEND.env}={BASE_XCOM}:")
    assert "Airflow 3 only" in check.hint
    backend = failed(asked, "provider_backend_class", "No module named 'airflow.sdk'")
    assert backend.hint == f"{BACKEND.env}={BASE_XCOM}"


# -- all is well, and what a changed file makes of it


def test_a_context_that_offloads_passes_but_for_what_still_runs(walk: Walk) -> None:
    with context(walk, offload(walk)) as opened:
        asked = opened.preflight(expect_backend=OBJECT_STORAGE_BACKEND, expect_path=f"{walk.base_path}/", phase="offload",
                                 expect_threshold=OFFLOADED_FROM, only=("provider", "config"))  # fmt: skip
    assert {check.id for check in asked.checks.values() if check.status is not Status.OK} == {"config_running"}
    assert asked["provider_backend_class"].data["class_path"] == OBJECT_STORAGE_BACKEND
    assert asked["config_path"].detail == f"{walk.base_path} from {PATH.env}"
    assert f" still has {BASE_XCOM}" in asked["config_backend"].detail
    failed(asked, "config_running", f"backend there {BASE_XCOM}, here {OBJECT_STORAGE_BACKEND}")


def test_the_way_down_is_judged_as_inline_from_a_context_that_offloads(walk: Walk) -> None:
    only = ("config_phase", "config_prefix", "config_threshold_floor", "provider_backend_class", "metadata_references",
            "metadata_own_paths")  # fmt: skip
    with context(walk, offload(walk), warm=True) as opened:
        asked = opened.preflight(phase="inline", planned=True, only=only)
        deployed = opened.preflight(phase="inline", only=("config_phase",))
    assert asked["config_phase"].status is Status.OK
    assert asked["config_phase"].detail.startswith("planned: inline: ")
    assert asked.answer.target["backend"] == BASE_XCOM
    assert asked["provider_backend_class"].data["class_path"] in BASE_XCOM_SPELLINGS
    # Neither prefix nor threshold say anything then; what is stored does, and the walk has left references behind.
    assert set(asked.checks) == {"config_phase", "provider_backend_class", "metadata_references"}
    failed(asked, "metadata_references", "references are stored, expected none for inline")
    check = failed(deployed, "config_phase", "expected inline, and the settings are offload")
    assert check.hint == f"{BACKEND.env}={BASE_XCOM}"


def test_airflow_cfg_that_was_changed_under_a_running_process(walk: Walk) -> None:
    file = Path(walk.env["AIRFLOW_HOME"]) / "airflow.cfg"
    before = file.stat()
    with AgentSession(walk.warm.reach(walk.sandbox.airflow.environment())) as session:
        asked = Context(session).preflight(only=("config_running",))
        first = asked["config_running"]
        os.utime(file, (before.st_atime, time.time() + 3_600))
        try:
            asked = Context(session).preflight(only=("config_running",))
        finally:
            os.utime(file, ns=(before.st_atime_ns, before.st_mtime_ns))
    check = failed(asked, "config_running", "airflow.cfg was changed after", status=Status.WARN)
    assert check.hint.startswith("restart ")
    assert "started with what a fresh process resolves" in first.detail
    # Those that give themselves a title: a warning, since what they have is not known. An API server runs no tasks.
    if walk.line == "3":
        assert first.status is Status.OK, first
        assert any("api-server" in each for each in first.data["unreadable"])
        return
    assert (first.status, "SPT_NOENV=1" in first.hint) == (Status.WARN, True), first
    for component in ("scheduler", "triggerer"):
        assert re.search(rf"{component} \(pid \d+\)[^;]* started with cannot be read", first.detail), first


# -- packages that are missing or of another version


def mirrored(
    walk: Walk, folder: Path, *, without: tuple[str, ...] = (), versions: Mapping[str, str] | None = None
) -> Path:
    """The Python of an environment like the walk's, of links, without some packages or with others' versions.

    ``without`` names files and folders of site-packages by patterns; ``versions`` are what metadata says.
    """
    environment = walk.python.parent.parent
    (site,) = environment.glob("lib/python3*/site-packages")
    left_out = {found for pattern in without for found in site.glob(pattern)}
    assert len(left_out) >= len(without)
    metadata = {
        next(site.glob(f"{name}-*.dist-info")) / "METADATA": version for name, version in (versions or {}).items()
    }

    def mirror(source: Path, target: Path) -> None:
        target.mkdir(parents=True)
        for entry in source.iterdir():
            if entry in left_out:
                continue
            if any(entry in other.parents for other in (*left_out, *metadata)):
                mirror(entry, target / entry.name)
            elif entry in metadata:
                text = re.sub(r"(?m)^Version: .*$", f"Version: {metadata[entry]}", entry.read_text(), count=1)
                (target / entry.name).write_text(text)
            else:
                (target / entry.name).symlink_to(entry)

    mirror(site, folder / site.relative_to(environment))
    (folder / "pyvenv.cfg").write_text((environment / "pyvenv.cfg").read_text())
    (folder / "bin").mkdir()
    (folder / "bin" / "python").symlink_to(walk.python.resolve())
    return folder / "bin" / "python"


def test_packages_that_are_missing(walk: Walk, tmp_path: Path) -> None:
    without = ("airflow/providers/common/io", "apache_airflow_providers_common_io-*", "s3fs", "s3fs-*")
    python = mirrored(walk, tmp_path / "mirror", without=without)
    with AgentSession(LocalReach(python, walk.env, label="mirror")) as session:
        asked = Context(session).preflight(expect_path=walk.base_path, only=("provider",))
        inline = Context(session).preflight(only=("provider_common_io",))
    missing = failed(asked, "provider_common_io", "apache-airflow-providers-common-io is not installed")
    assert missing.hint == "pip install apache-airflow-providers-common-io"
    assert "provider_version" not in asked.checks
    failed(inline, "provider_common_io", "is not installed", status=Status.WARN)
    failed(asked, "provider_backend_class", OBJECT_STORAGE_BACKEND, "No module named 'airflow.providers.common.io'")
    assert "pip install" in asked["provider_backend_class"].hint
    check = failed(asked, "provider_filesystem", "s3:// needs s3fs", "No module named 's3fs'")
    assert check.hint == "pip install 'apache-airflow-providers-amazon[s3fs]'"


def test_versions_that_are_known_bad(walk: Walk, tmp_path: Path) -> None:
    core = {"2": ("apache_airflow", "2.10.5"), "3": ("apache_airflow_core", "3.0.4")}[walk.line]
    versions = {
        core[0]: core[1],
        "apache_airflow_providers_common_io": {"2": "1.6.1", "3": "1.5.3"}[walk.line],
        "universal_pathlib": "0.3.1",
    }
    python = mirrored(walk, tmp_path / "mirror", versions=versions)
    with AgentSession(LocalReach(python, walk.env, label="mirror")) as session:
        asked = Context(session).preflight(only=("provider_version", "provider_universal_pathlib"))
    version = failed(asked, "provider_version", f"Airflow {core[1]} with apache-airflow-providers-common-io")
    if walk.line == "2":
        assert version.data["failures"] == ["F16"]
        assert version.hint == "pip install 'apache-airflow-providers-common-io>=1.6.3'"
    else:
        assert version.data["failures"] == ["F9", "F11"]
        assert version.hint == "pip install 'apache-airflow-providers-common-io>=1.5.4' 'apache-airflow>=3.0.5,<4'"
    pathlib = failed(asked, "provider_universal_pathlib", "universal-pathlib 0.3.1", "recursion", "F19")
    assert pathlib.hint == "pip install 'universal-pathlib>=0.2.2,<0.3'"


def test_a_running_process_that_tells_no_environment(walk: Walk) -> None:
    """A title that is written over the environment, as Celery's and Airflow's own are: a warning, and never OK."""
    home = Path(walk.env["AIRFLOW_HOME"])
    # Forgets what it was started with, as a process does that gives itself a title: nothing is left to read.
    code = "import sys, sqlalchemy, setproctitle as s; s.setproctitle(sys.argv[1]); print('up', flush=True); sys.stdin.read()"
    title = "[celeryd: celery@host:MainProcess] -active- (worker)"
    environment = {**walk.env, "AIRFLOW_HOME": str(home)}
    process = subprocess.Popen([walk.python, "-c", code, title], env=environment, stdin=subprocess.PIPE,
                               stdout=subprocess.PIPE, cwd=home)  # fmt: skip
    try:
        assert process.stdout is not None and process.stdout.readline() == b"up\n"
        with AgentSession(walk.warm.reach(walk.sandbox.airflow.environment())) as session:
            asked = Context(session).preflight(only=("config_running",))
    finally:
        process.communicate()
    said = f"celery worker (pid {process.pid})"
    check = failed(asked, "config_running", said, "cannot be read", status=Status.WARN)
    assert said in check.hint and "SPT_NOENV=1" in check.hint
    assert [each for each in check.data["unreadable"] if f"pid {process.pid}," in each]


def test_no_other_variable_of_a_process_is_told(walk: Walk, bare: Context) -> None:
    asked = bare.preflight(only=CONFIG)
    told = "\n".join(f"{check.detail} {check.hint} {check.data}" for check in asked.checks.values())
    known = {setting.env for setting in SETTINGS} | {"AIRFLOW_HOME"}
    for name, value in walk.sandbox.airflow.environment().items():
        if name not in known and len(value) > 8 and name.startswith("AIRFLOW"):
            assert value not in told, name
