"""Which revision an emergency goes back to, with the real helm of both ages: by its values, and never past a version."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.support.kube import binaries, cluster, kinds
from tests.support.kube.cluster import Cluster
from tests.support.kube.containers import Image
from tests.support.kube.tools import Tools, tools
from tests.unit.change.test_killswitch import Desk
from xcomctl.change import emergency
from xcomctl.change.emergency import Emergency, planned
from xcomctl.change.killswitch_revert import Deploy, Revert
from xcomctl.change.killswitch_run import rolled_back_alone
from xcomctl.cli.main import main
from xcomctl.deployment.carriers.named import CarrierFiles
from xcomctl.deployment.helm import Helm, HelmError, NoRelease
from xcomctl.deployment.kubectl import Kubectl
from xcomctl.errors import UserError
from xcomctl.model.phases import Line, Phase
from xcomctl.model.settings import THRESHOLD, settings_for
from xcomctl.model.verdicts import Verdict

CHART = Path(__file__).parents[2] / "data" / "chart"
PATH = "s3://store@bucket/xcom"
DUAL_READ = settings_for(Phase.DUAL_READ, PATH)
OFFLOAD = settings_for(Phase.OFFLOAD, PATH, 1_600_000)
ASKED = Emergency(Helm(Kubectl("airflow")), "air")


@pytest.fixture
def kube(tmp_path: Path) -> Iterator[Cluster]:
    with cluster.running(tmp_path / "cluster", {"airflow": Image()}) as running:
        yield running


@pytest.fixture(params=binaries.VERSIONS)
def desk(request: pytest.FixtureRequest, kube: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Tools:
    found = tools(kube, request.param, tmp_path / "desk")
    found.use(monkeypatch)
    return found


@pytest.fixture
def upgraded(desk: Tools, tmp_path: Path) -> Callable[..., None]:
    def upgrade(settings: dict[str, str], *lines: str, env: tuple[tuple[str, str], ...] = ()) -> None:
        """One more revision with these settings, further lines of values, and further variables."""
        entries = "".join(f'  - name: {name}\n    value: "{value}"\n' for name, value in (*settings.items(), *env))
        values = tmp_path / "values.yaml"
        values.write_text("".join(f"{line}\n" for line in lines) + (f"env:\n{entries}" if entries else "env: []\n"))
        to = ("-n", "airflow", "--create-namespace", "--disable-openapi-validation")
        done = desk.helm("upgrade", "--install", "air", str(CHART), *to, "-f", str(values))
        assert done.returncode == 0, done.stderr

    return upgrade


def refused(how: Callable[[], Any]) -> UserError:
    with pytest.raises(UserError) as caught:
        how()
    assert caught.value.verdict is Verdict.REFUSED
    return caught.value


def test_the_last_revision_that_says_the_target_and_what_goes_back_with_it(upgraded: Callable[..., None]) -> None:
    upgraded({})
    upgraded(DUAL_READ)
    secret = ("data:", "  metadataConnection:", "    pass: planted-pass", "fernetKey: planted-key")
    upgraded(OFFLOAD, *secret, env=(("MORE", "than that"), ("DB_PASS", "planted-secret")))
    upgraded(OFFLOAD, "executor: LocalExecutor", *secret, env=(("MORE", "than that"), ("DB_PASS", "planted-secret")))
    found = planned(ASKED, Phase.DUAL_READ, Line.AF3)
    assert found is not None and (found.now.number, found.to.number, found.path) == (4, 2, PATH)
    said = "\n".join(found.lines(ASKED))
    assert "run: helm rollback air 2 -n airflow" in said
    for gone in ("-  value: '1600000'", "-  value: than that", "-executor: LocalExecutor", "-- name: DB_PASS"):
        assert f"  {gone}" in said
    assert "planted" not in said and "planted" not in json.dumps(found.to_json(ASKED))
    # Nothing at all is Airflow's own class: the first revision is where `inline` is.
    inline = planned(ASKED, Phase.INLINE, Line.AF3)
    assert inline is not None and inline.to.number == 1
    ASKED.helm.rollback("air", 2)
    assert planned(ASKED, Phase.DUAL_READ, Line.AF3) is None
    assert [each.status for each in ASKED.helm.history("air")][-1] == "deployed"


def test_another_version_of_airflow_is_never_gone_back_to(upgraded: Callable[..., None]) -> None:
    upgraded(DUAL_READ, 'airflowVersion: "3.2.0"')
    upgraded(OFFLOAD, 'airflowVersion: "3.3.2"')
    error = refused(lambda: planned(ASKED, Phase.DUAL_READ, Line.AF3))
    assert "3.3.2 → 3.2.0" in error.message and "the metadata database does not go back" in error.message
    assert "--carrier FILE --deploy" in error.hint


@pytest.mark.parametrize("desk", [binaries.NEWER], indirect=True)
def test_the_version_of_a_chart_that_is_a_dependency_counts_as_well(upgraded: Callable[..., None]) -> None:
    def under(settings: dict[str, str], version: str) -> list[str]:
        entries = [
            line for name, value in settings.items() for line in (f"    - name: {name}", f"      value: '{value}'")
        ]
        return ["airflow:", f"  airflowVersion: {version}", "  env:", *entries]

    upgraded({}, *under(DUAL_READ, "3.2.0"))
    upgraded({}, *under(OFFLOAD, "3.3.2"))
    assert "3.3.2 → 3.2.0" in refused(lambda: planned(ASKED, Phase.DUAL_READ, Line.AF3)).message


@pytest.mark.parametrize("desk", [binaries.NEWER], indirect=True)
def test_an_image_that_goes_back_too_is_named(upgraded: Callable[..., None]) -> None:
    """A tag per build tells no version: with the chart's own name for the version it is the same Airflow."""
    upgraded(DUAL_READ, "defaultAirflowTag: build-7", "images:", "  airflow:", "    digest: sha256:a")
    upgraded(OFFLOAD, "defaultAirflowTag: build-8")
    found = planned(ASKED, Phase.DUAL_READ, Line.AF3)
    assert found is not None
    said = "\n".join(found.warnings())
    assert "defaultAirflowTag build-8 → build-7: if that is another version" in said
    assert "images.airflow.digest none → sha256:a" in said


@pytest.mark.parametrize("desk", [binaries.NEWER], indirect=True)
def test_a_revision_under_whose_base_path_something_would_not_resolve_is_passed_over(
    upgraded: Callable[..., None],
) -> None:
    upgraded(DUAL_READ)
    upgraded(settings_for(Phase.DUAL_READ, "s3://store@other/xcom"))
    upgraded(OFFLOAD)
    found = planned(ASKED, Phase.DUAL_READ, Line.AF3, lambda path: "" if path == PATH else "it lies elsewhere")
    assert found is not None and (found.to.number, found.path) == (1, PATH)
    assert found.skipped == ("revision 2 is passed over: it lies elsewhere",)
    # Where nobody can be asked, only the base path of now will do, and the values tell the line of Airflow.
    found = planned(ASKED, Phase.DUAL_READ)
    assert found is not None and (found.to.number, found.line) == (1, Line.AF3)
    assert "where references lie is not known" in found.skipped[0]


@pytest.mark.parametrize("desk", binaries.VERSIONS, indirect=True)
def test_what_a_hook_of_the_upgrade_makes_a_rollback_does_not_bring_back(
    upgraded: Callable[..., None], kube: Cluster
) -> None:
    """As the official chart makes its ConfigMaps unless it is told otherwise: the rollback as it is typed changes nothing."""

    def config_map(settings: dict[str, str]) -> list[str]:
        entries = [f"      {name}: '{value}'" for name, value in settings.items()]
        return [
            "extraEnvFrom: |",
            "  - configMapRef:",
            "      name: xcom",
            "extraConfigMaps:",
            "  xcom:",
            "    data: |",
            *entries,
        ]

    upgraded({}, *config_map(DUAL_READ))
    upgraded({}, *config_map(OFFLOAD))
    error = refused(lambda: planned(ASKED, Phase.DUAL_READ, Line.AF3))
    assert "revision 1 is passed over: a rollback leaves what a hook of the upgrade makes" in error.message
    ASKED.helm.rollback("air", 1)
    made = kube.get(kinds.CONFIG_MAP, "airflow", "xcom")
    assert made is not None and made["data"][THRESHOLD.env] == "1600000"
    # Its values say the target by now, and what is there does not.
    assert "can be gone back to" in refused(lambda: planned(ASKED, Phase.DUAL_READ, Line.AF3)).message


@pytest.mark.parametrize("desk", [binaries.NEWER], indirect=True)
@pytest.mark.parametrize(
    ("lines", "said"),
    [
        (
            ("extraEnv: |", "  - name: AIRFLOW__CORE__XCOM_BACKEND", "    value: '{{ .Values.backend }}'"),
            "is not known",
        ),
        (("config:", "  common.io:", "    xcom_objectstorage_treshold: '-1'"), "is not read by Airflow"),
        (("extraEnvFrom: |", "  - secretRef:", "      name: settings"), "settings"),
    ],
)
def test_a_revision_whose_values_do_not_tell_is_passed_over(
    upgraded: Callable[..., None], lines: tuple[str, ...], said: str
) -> None:
    upgraded({}, *lines)
    upgraded(OFFLOAD)
    error = refused(lambda: planned(ASKED, Phase.INLINE, Line.AF3))
    assert "revision 1 is passed over" in error.message and said in error.message


@pytest.mark.parametrize("desk", [binaries.NEWER], indirect=True)
def test_what_failed_is_not_gone_back_to(upgraded: Callable[..., None], kube: Cluster) -> None:
    upgraded(OFFLOAD)
    kube.access.denied.update({("create", "configmaps"), ("patch", "configmaps")})
    with pytest.raises(AssertionError):
        upgraded(DUAL_READ, "extraConfigMaps:", "  more:", "    data: |", "      a: b")
    kube.access.denied.clear()
    upgraded(OFFLOAD, "executor: LocalExecutor")
    assert "can be gone back to" in refused(lambda: planned(ASKED, Phase.DUAL_READ, Line.AF3)).message


@pytest.mark.parametrize(
    ("marks", "said"),
    [
        ({"annotations": {"argocd.argoproj.io/tracking-id": "prod-airflow:apps/Deployment:airflow/air-scheduler"}}, "Argo CD (prod-airflow) keeps this release as its repository says and will undo the rollback: argocd app set prod-airflow --sync-policy none"),
        ({"labels": {"helm.toolkit.fluxcd.io/name": "airflow", "helm.toolkit.fluxcd.io/namespace": "flux"}}, "Flux (helmrelease airflow) keeps this release as its repository says and will undo the rollback: flux suspend helmrelease airflow -n flux"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("desk", [binaries.NEWER], indirect=True)
def test_whoever_keeps_the_release_is_named(
    upgraded: Callable[..., None], kube: Cluster, marks: dict[str, dict[str, str]], said: str
) -> None:
    upgraded(DUAL_READ)
    upgraded(OFFLOAD)
    scheduler = kube.get(kinds.DEPLOYMENT, "airflow", "air-scheduler")
    assert scheduler is not None
    for kind, entries in marks.items():
        scheduler["metadata"].setdefault(kind, {}).update(entries)
    kube.put(scheduler)
    found = planned(ASKED, Phase.DUAL_READ, Line.AF3)
    assert found is not None and list(found.warnings()) == [said]


@pytest.mark.parametrize("desk", [binaries.NEWER], indirect=True)
def test_argo_renders_without_helm(kube: Cluster, desk: Tools) -> None:
    labels = {"tier": "airflow", "component": "scheduler", "release": "air", "argocd.argoproj.io/instance": "prod"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "scheduler", "image": "airflow"}]}}
    kube.put({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": {"name": "s", "namespace": "airflow", "labels": labels}, "spec": {"selector": {"matchLabels": labels}, "template": template}})  # fmt: skip
    error = refused(lambda: planned(ASKED, Phase.DUAL_READ, Line.AF3))
    assert "Argo CD (prod) renders the chart itself" in error.message and "argocd app set prod" in error.hint


def test_a_release_that_is_none_and_rights_that_are_missing(upgraded: Callable[..., None], kube: Cluster) -> None:
    upgraded(DUAL_READ)
    upgraded(OFFLOAD)
    with pytest.raises(NoRelease, match="no release 'wrong' in the namespace airflow"):
        planned(Emergency(ASKED.helm, "wrong"), Phase.DUAL_READ, Line.AF3)
    kube.access.denied.add(("list", "deployments"))
    found = planned(ASKED, Phase.DUAL_READ, Line.AF3)
    assert found is not None and "Argo CD or Flux own the release is not known" in next(found.warnings())
    kube.access.denied.add(("list", "secrets"))
    with pytest.raises(HelmError, match=r"may not list secrets .* \(403\)"):
        planned(ASKED, Phase.DUAL_READ, Line.AF3)


def scripted(folder: Path, monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    """A helm that does this: states of a release that the real one is in for a moment only."""
    monkeypatch.setenv("PATH", f"{folder}:/usr/bin:/bin")
    (folder / "helm").write_text(f"#!/bin/sh\n{text}\n")
    (folder / "helm").chmod(0o755)


@pytest.mark.parametrize(("minutes", "refuses"), [(1, True), (30, False)])
def test_somebody_s_operation_is_left_alone_while_it_runs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, minutes: int, refuses: bool
) -> None:
    at = (datetime.now(UTC) - timedelta(minutes=minutes)).isoformat().replace("+00:00", "123Z")
    history = [{"revision": 1, "status": "superseded", "chart": "a-1"}, {"revision": 2, "status": "pending-upgrade", "chart": "a-1", "updated": at}]  # fmt: skip
    values = {1: DUAL_READ, 2: OFFLOAD}
    for number, settings in values.items():
        entries = [{"name": name, "value": value} for name, value in settings.items()]
        (tmp_path / f"{number}").write_text(json.dumps({"airflowVersion": "3.3.2", "env": entries}))
    scripted(tmp_path, monkeypatch, f"case $1 in history) echo '{json.dumps(history)}';; get) cat {tmp_path}/$5;; esac")
    if refuses:
        error = refused(lambda: planned(ASKED, Phase.DUAL_READ, Line.AF3))
        assert "air is pending-upgrade since 1 min" in error.message and "call again in 4 min" in error.hint
    else:
        found = planned(ASKED, Phase.DUAL_READ, Line.AF3)
        assert found is not None and "revision 2 is pending-upgrade" in "\n".join(found.warnings())


def test_ctrl_c_waits_for_the_rollback(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scripted(tmp_path, monkeypatch, f"touch {tmp_path}/began; sleep 2; touch {tmp_path}/over; echo no >&2; exit 1")
    called = "from tests.unit.change.test_emergency import ASKED; ASKED.helm.rollback('air', 1)"
    desk = subprocess.Popen([sys.executable, "-c", called], start_new_session=True, stderr=subprocess.PIPE, text=True)
    deadline = time.monotonic() + 60
    while not (tmp_path / "began").exists():
        assert time.monotonic() < deadline
        time.sleep(0.05)
    os.killpg(desk.pid, signal.SIGINT)
    _, said = desk.communicate(timeout=60)
    assert (tmp_path / "over").exists() and "KeyboardInterrupt" in said


def test_an_emergency_edits_nothing_before_it_knows_what_it_goes_back_to_and_no_file_is_in_its_way(
    upgraded: Callable[..., None], tmp_path: Path
) -> None:
    upgraded(OFFLOAD)
    upgraded(OFFLOAD, "executor: LocalExecutor")
    values = tmp_path / "values-prod.yaml"
    values.write_text(f"env:\n- name: {THRESHOLD.env}\n  value: '{{{{ .Values.x }}}}'\n")
    work = Desk(tmp_path).work(emergency=ASKED, carrier=CarrierFiles((values,)))
    refused(lambda: Revert().prepare(work))
    upgraded(DUAL_READ)
    upgraded(OFFLOAD)
    (line,) = Revert().prepare(work)
    assert line.startswith(f"{values} is not edited: {THRESHOLD.env} is not known") and "flips again" in line
    assert not Revert().asks(work)
    with Desk(tmp_path).player(work) as player:
        played, verdict = player.play([Revert(), Deploy()])
    assert verdict is Verdict.OK and [step.status for step in played] == ["done", "done"]
    assert rolled_back_alone(work.begun)
    assert [each.description for each in ASKED.helm.history("air")][-1] == "Rollback to 3"
    # Going on without the option is still an emergency that edited nothing; by a carrier that says it, it is not.
    values.write_text("env:\n" + "".join(f"- name: {name}\n  value: '{value}'\n" for name, value in OFFLOAD.items()))
    again = Desk(tmp_path).work(emergency=ASKED, carrier=CarrierFiles((values,)))
    assert rolled_back_alone(again.begun)
    with Desk(tmp_path).player(again) as player:
        player.play([Revert(), Deploy()])
    assert not rolled_back_alone(again.begun) and "'-1'" in values.read_text()


@pytest.mark.parametrize("desk", [binaries.NEWER], indirect=True)
def test_it_is_there_for_those_whose_pods_do_not_come_up(
    upgraded: Callable[..., None], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """No context answers, as where every component crashes: the values tell, and what came of it cannot be confirmed."""
    monkeypatch.setenv("XDG_STATE_HOME", str(tmp_path))
    upgraded(DUAL_READ)
    upgraded(OFFLOAD)
    words = ("-n", "airflow", "--component", "scheduler", "--timeout", "1", "-o", "json")
    assert main(["killswitch", *words]) == Verdict.INCONCLUSIVE.exit_code
    assert "no context answers" in capsys.readouterr().err
    assert main(["killswitch", "--emergency", "-y", *words]) == Verdict.INCONCLUSIVE.exit_code
    report = json.loads(capsys.readouterr().out)
    assert [(step["id"], step["status"]) for step in report["steps"]] == [("revert", "done"), ("deploy", "done"), ("confirm", "failed")]  # fmt: skip
    assert [each.description for each in ASKED.helm.history("air")][-1] == "Rollback to 1"


def test_without_helm_and_with_one_that_says_something_else(
    desk: Tools, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(HelmError, match="there is no helm to run"):
        ASKED.helm.history("air")
    (tmp_path / "helm").write_text("#!/bin/sh\necho hello\n")
    (tmp_path / "helm").chmod(0o755)
    with pytest.raises(HelmError, match="gave no history"):
        ASKED.helm.history("air")
    assert (
        emergency.command(ASKED, emergency.Revision(3, "superseded", "airflow-0.1.0"))
        == "helm rollback air 3 -n airflow"
    )
