"""What is said of settings in YAML, what is refused, and what stays as it is."""

from __future__ import annotations

from pathlib import Path

import pytest
from ruamel.yaml import YAML

from xcomctl.deployment.carriers.compose_file import ComposeFile
from xcomctl.deployment.carriers.helm_values import HelmValues
from xcomctl.deployment.carriers.interface import CarrierError
from xcomctl.deployment.carriers.named import CarrierFiles
from xcomctl.deployment.carriers.yaml_layers import LARGEST
from xcomctl.model.phases import BASE_XCOM, Phase
from xcomctl.model.settings import BACKEND, COMPRESSION, PATH, THRESHOLD, settings_for

WANTED = settings_for(Phase.OFFLOAD, "s3://store@artifacts/xcom", 1_600_000)

EXAMPLE = Path(__file__).parents[4] / "infra" / "helm" / "airflow" / "values-prod.yaml"


def values(text: str, **how: bool) -> HelmValues:
    return HelmValues(Path("values.yaml"), text.encode(), **how)  # type: ignore[arg-type]


def test_components_that_differ_are_said_and_edited_all() -> None:
    component = "{0}:\n  env:\n  - name: " + BACKEND.env + "\n    value: {1}\n"
    names = ("scheduler", "workers", "triggerer", "dagProcessor", "apiServer")
    carrier = values("".join(component.format(name, "a.B" if name != "workers" else "c.D") for name in names))
    [note] = carrier.notes()
    assert note.startswith(f"{BACKEND.env} differs: 'a.B' in values.yaml:3 scheduler.env[0], 'c.D' in values.yaml:7")
    there = carrier.after(carrier.edit({BACKEND.env: "e.F"}))
    assert there.notes() == () and there.edit({}).before.count(b"e.F") == 5


def test_a_component_that_is_off_needs_nothing() -> None:
    off = "triggerer: {enabled: false}\ndagProcessor: {enabled: false}\nexecutor: LocalExecutor\n"
    own = f"env:\n  - name: {BACKEND.env}\n    value: a.B\n".replace("\n", "\n  ").rstrip()
    carrier = values(f"{off}scheduler:\n  {own}\nwebserver:\n  {own}\n")
    assert carrier.notes() == () and carrier.edit({BACKEND.env: "c.D"}).after.count(b"c.D") == 2


def test_what_is_templated_is_said_and_is_no_setting() -> None:
    carrier = values(f'extraEnv: |\n  - name: {PATH.env}\n    value: "{{{{ .Values.p }}}}"\n')
    assert carrier.settings() == {}
    assert carrier.notes() == (f"{PATH.env} is not known: it is templated in values.yaml:2 extraEnv[0]",)
    with pytest.raises(CarrierError, match="it is templated"):
        carrier.edit({PATH.env: "s3://c@b/x"})
    assert carrier.edit({BACKEND.env: "a.B"}).changes


@pytest.mark.parametrize(
    "text",
    [
        "  {{- if .Values.x }}\n  - name: NAME\n    value: a.B\n  {{- end }}\n",
        "  - name: NAME\n    {{- if .Values.x }}\n    value: a.B\n    {{- else }}\n    value_: b\n    {{- end }}\n",
        "  {{- with .Values.x }}\n  {{- if . }}\n  {{- end }}\n  - name: NAME\n    value: a.B\n  {{- end }}\n",
        "  {{- range .Values.x }}\n  - name: NAME\n    value: a.B\n",
    ],
)
def test_what_a_template_decides_about_is_not_known(text: str) -> None:
    carrier = values(f"extraEnv: |\n{text.replace('NAME', BACKEND.env)}")
    assert carrier.settings() == {} and "a template decides whether it is there" in carrier.notes()[0]


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("secret:\n  - envName: NAME\n    secretName: s\n    secretKey: k\n", "NAME stands where xcomctl does not read: values.yaml:2 secret"),
        ("podTemplate: |\n  spec:\n    containers:\n      - env: [{name: NAME, value: a.B}]\n", "NAME stands where xcomctl does not read: values.yaml:1 podTemplate"),
        ('extraEnv: "- name: NAME\\n  value: a.B"\n', "NAME stands where xcomctl does not read: values.yaml:1 extraEnv"),
        ("workers:\n  celery:\n    sets:\n      - env: [{name: NAME, value: a.B}]\n", "NAME stands where xcomctl does not read: values.yaml:4 workers.celery.sets"),
        ('extraEnv: "{{ tpl .Values.more . }}"\n', "values.yaml:1 extraEnv cannot be read as it stands, and what its templates set is not known here"),
        ("extraEnv: |\n  - name: A\n   {{ .Values.b }}: c\n", "values.yaml:1 extraEnv cannot be read as it stands, and what its templates set is not known here"),
        ("extraEnv: |\n  - name: A\n    value: b\n  {{- include \"more\" . | nindent 2 }}\n", "values.yaml:1 extraEnv has lines that a template writes, and what they set is not known here"),
        ("extraEnvFrom: |\n  - configMapRef: {name: x}\nextraConfigMaps:\n  x:\n    data: '{{ .Values.b }}'\n", "values.yaml:5 extraConfigMaps.x.data cannot be read as it stands, and what its templates set is not known here"),
        ("env:\n- {name: NAME, value: a.B}\n- {name: NAME, value: c.D}\n", "NAME is set twice for the same component, and which counts is not known: values.yaml:2 env[0] and values.yaml:3 env[1]"),
    ],
)  # fmt: skip
def test_what_is_not_read_leaves_the_phase_in_doubt(text: str, said: str) -> None:
    carrier = values(text.replace("NAME", BACKEND.env))
    assert said.replace("NAME", BACKEND.env) in carrier.doubts()
    assert said.replace("NAME", BACKEND.env) in carrier.notes()


@pytest.mark.parametrize(
    "text",
    [
        'extraEnv: "- name: TZ\\n  value: UTC"\n',
        "extraEnv: |\n  {{- /* why */}}\n  {{- $x := 1 }}\n  {{- if $x }}\n  - name: A\n    value: |\n      {{ $x }}\n  {{- end }}\n",
        "extraConfigMaps:\n  x:\n    data: '{{ .Values.b }}'\n",
        "# AIRFLOW__CORE__XCOM_BACKEND\npodTemplate: |\n  # AIRFLOW__CORE__XCOM_BACKEND\n",
    ],
)  # fmt: skip
def test_what_can_set_nothing_leaves_no_doubt(text: str) -> None:
    assert values(text).doubts() == () and values(text).notes() == ()


def test_what_stands_beside_a_condition_is_known() -> None:
    text = f"  {{{{- if .x }}}}\n  - name: A\n    value: b\n  {{{{- end }}}}\n  - name: {BACKEND.env}\n    value: a.B\n"
    carrier = values(f"extraEnv: |\n{text}  {{{{- if .y }}}}\n  {{{{- end }}}}\n")
    assert carrier.settings() == {BACKEND.env: "a.B"} and carrier.notes() == ()


def test_from_a_secret_is_not_known_either() -> None:
    reference = "valueFrom: {secretKeyRef: {name: s, key: k}}"
    carrier = values(f"extraEnv: |\n  - name: {PATH.env}\n    {reference}\n")
    assert "it comes from a Secret or ConfigMap" in carrier.notes()[0]


def test_what_arrives_otherwise_than_it_stands_is_found_and_mended() -> None:
    text = f"env:\n- name: {THRESHOLD.env}\n  value: 1600000 # bytes\n- name: TZ\n  value: UTC\n"
    carrier = values(text)
    assert carrier.settings() == {THRESHOLD.env: "1.6e+06"}
    assert carrier.unfit() == {THRESHOLD.env: "values.yaml:2 env[0]: Helm renders it as 1.6e+06"}
    mended = text.replace("1600000", '"1600000"').encode()
    assert carrier.fix().after == mended
    assert carrier.edit({THRESHOLD.env: "1600000"}).after == mended
    assert not values(mended.decode()).fix().changes


def test_a_misspelt_name_with_a_number_is_mended_in_both() -> None:
    text = "airflow:\n  users: []\n  config:\n    AIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_THRESHOLD: 1_600_000 # p99.9\n"
    fixed = values(text).fix()
    assert fixed.after == text.replace("COMMON.IO", "COMMON_IO").replace("1_600_000", '"1600000"').encode()
    assert fixed.inverse().after == text.encode()


def test_each_component_keeps_its_own_value_when_numbers_are_mended() -> None:
    component = "{0}:\n  env:\n  - name: " + THRESHOLD.env + "\n    value: {1}\n"
    names = {"scheduler": 1000000, "workers": 2000000, "triggerer": 1000000, "dagProcessor": 10, "apiServer": 10}
    after = values("".join(component.format(*each) for each in names.items())).fix().after.decode()
    assert after == "".join(
        component.format(name, f'"{value}"' if value > 10 else value) for name, value in names.items()
    )


def test_a_misspelt_name_whose_setting_is_there_goes_and_two_that_disagree_are_refused() -> None:
    dotted = "AIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_PATH"
    text = f"env:\n- name: {PATH.env}\n  value: s3://c@b/x\n- name: {dotted}\n  value: s3://c@b/y\n"
    assert values(text).fix().after == f"env:\n- name: {PATH.env}\n  value: s3://c@b/x\n".encode()
    text = f"env:\n- name: {dotted}\n  value: s3://c@b/x\nextraEnv: |\n- name: {dotted}\n  value: s3://c@b/y\n"
    with pytest.raises(CarrierError, match="cannot be corrected without you"):
        values(
            text.replace(
                "\n- name: AIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_PATH\n  value: s3://c@b/y",
                f"\n  - name: {dotted}\n    value: s3://c@b/y",
            )
        ).fix()


def test_settings_go_and_the_list_stays() -> None:
    text = f"env:\n- name: {BACKEND.env}\n  value: a.B\n- name: TZ\n  value: UTC\n"
    assert values(text).edit({BACKEND.env: None}).after == b"env:\n- name: TZ\n  value: UTC\n"
    text = f"env: # all\n- name: {BACKEND.env}\n  value: a.B\nuid: 1"
    assert values(text).edit({BACKEND.env: None, PATH.env: None}).after == b"env: [] # all\nuid: 1"
    flow = f"airflow: {{users: [], config: {{A: b, {BACKEND.env}: a.B, {PATH.env}: 's3://c@b/x'}}}}\n"
    assert (
        values(flow).edit({BACKEND.env: None}).after
        == f"airflow: {{users: [], config: {{A: b, {PATH.env}: 's3://c@b/x'}}}}\n".encode()
    )
    text = f"extraEnv: |\n  - name: {BACKEND.env}\n    value: a.B\n"
    with pytest.raises(CarrierError, match="all that there is in it"):
        values(text).edit({BACKEND.env: None})


def test_a_percent_sign_in_a_section_is_doubled() -> None:
    carrier = values("config:\n  core:\n    xcom_backend: a.B\n")
    after = carrier.edit({PATH.env: "s3://c@b/a%2Fb"}).after
    assert b"xcom_objectstorage_path: s3://c@b/a%%2Fb\n" in after
    assert values(after.decode()).settings()[PATH.env] == "s3://c@b/a%2Fb"


def test_what_cannot_be_carried() -> None:
    carrier = values("env: []\n")
    with pytest.raises(CarrierError, match="none of the settings"):
        carrier.edit({"OTHER": "x"})
    for value in ("a\nb", "{{ x }}", "\ud800"):
        with pytest.raises(CarrierError, match="no text that YAML with templates can hold"):
            carrier.edit({PATH.env: value})
    with pytest.raises(CarrierError, match="several lines"):
        values(f"env:\n- name: {PATH.env}\n  value: >-\n    s3://c@b/x\n").edit({PATH.env: "s3://c@b/y"})


def test_a_large_file_is_refused_before_it_is_read() -> None:
    with pytest.raises(CarrierError, match=r"has 5,0\d\d kB, and YAML is edited up to 512 kB"):
        HelmValues(Path("values.yaml"), b"env: []\n" + b"# remark\n" * 570_000)
    assert LARGEST == 512 * 1024


def test_a_compose_file_says_what_else_it_reads() -> None:
    text = b"services:\n  airflow:\n    image: x\n    env_file:\n      - .env\n    environment:\n      TZ: UTC\n"
    [note] = ComposeFile(Path("compose.yaml"), text).notes()
    assert note == "service airflow also reads .env, which is a carrier of its own and is not read here"


def test_the_winner_is_edited_when_asked_and_the_other_is_left(tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    path.write_text(f"env:\n- name: {BACKEND.env}\n  value: a.B\nconfig:\n  core:\n    xcom_backend: c.D\n")
    with pytest.raises(CarrierError) as raised:
        CarrierFiles((path,)).open().edit({BACKEND.env: "e.F"})
    assert f"{path}:2 env[0] and {path}:6 config.core.xcom_backend" in raised.value.message
    carrier = CarrierFiles((path,), edit_winner=True).open()
    assert carrier.settings() == {BACKEND.env: "a.B"}
    after = carrier.edit({BACKEND.env: "e.F"}).after
    assert b"value: e.F" in after and b"xcom_backend: c.D" in after


def test_what_stays_beside_the_winner_is_said(tmp_path: Path) -> None:
    path = tmp_path / "values.yaml"
    taken = "extraEnvFrom: |\n  - configMapRef:\n      name: xcom\n"
    held = f"extraConfigMaps:\n  xcom:\n    data: |\n      {BACKEND.env}: c.D\n"
    path.write_text(f"env:\n- name: {BACKEND.env}\n  value: a.B\n{taken}{held}config:\n  core:\n    xcom_backend: {{{{ x }}}}\n".replace("{{ x }}", "'{{ x }}'"))  # fmt: skip
    carrier = CarrierFiles((path,), edit_winner=True).open()
    wins, alone = f"{BACKEND.env} is taken from {path}:2 env[0]", "which a pod that takes that ConfigMap alone gets"
    assert carrier.notes() == (
        f"{wins}; 'c.D' stays in {path}:10 extraConfigMaps.xcom.data.{BACKEND.env}, {alone}",
        f"{wins}; what is not known (it is templated) stays in {path}:13 config.core.xcom_backend",
    )
    assert carrier.doubts() == () and carrier.after(carrier.edit({BACKEND.env: "e.F"})).notes() == carrier.notes()


def test_where_each_wins_somewhere_nothing_stays() -> None:
    carrier = values(f"env:\n- name: {BACKEND.env}\n  value: a.B\nworkers:\n  env:\n  - name: {BACKEND.env}\n    value: a.B\n", edit_winner=True)  # fmt: skip
    assert carrier.notes() == () and carrier.edit({BACKEND.env: "c.D"}).after.count(b"c.D") == 2


def test_a_config_map_that_helm_makes_by_a_hook_is_told() -> None:
    taken = "extraEnvFrom: |\n  - configMapRef:\n      name: xcom\n"
    text = f"{taken}extraConfigMaps:\n  xcom:\n    FLAG\n    data: |\n      {BACKEND.env}: a.B\n      {PATH.env}: s3://c@b/x\n"
    [said] = values(text.replace("FLAG", "labels: {}")).hooked()
    assert said.startswith("values.yaml:5 extraConfigMaps.xcom is a Helm hook, which a rollback does not bring back")
    assert values(text.replace("FLAG", "useHelmHooks: false")).hooked() == ()
    # What wins counts.
    over = "".join(f"- name: {each.env}\n  value: x\n" for each in (BACKEND, PATH))
    assert values(f"env:\n{over}{text.replace('FLAG', 'labels: {}')}").hooked() == ()
    assert HelmValues(EXAMPLE, EXAMPLE.read_bytes()).hooked() == ()
    assert "airflow.extraConfigMaps.xcom" in values("airflow:\n  env: []\n  executor: x\n" + "".join(f"  {line}\n" for line in text.replace("FLAG", "labels: {}").splitlines())).hooked()[0]  # fmt: skip


def test_what_to_write_by_hand_has_its_place() -> None:
    text = f"env:\n- name: AIRFLOW__COMMON.IO__XCOM_OBJECTSTORAGE_PATH\n  value: x\n- name: {THRESHOLD.env}\n  value: 1600000\n"
    assert values(text).corrections() == (
        f"values.yaml:2 env[0]: write {PATH.env}",
        "values.yaml:4 env[1]: write '1600000', in quotes",
    )


def test_the_example_walks_up_and_down() -> None:
    content = EXAMPLE.read_bytes()
    carrier = HelmValues(EXAMPLE, content)
    assert carrier.notes() == () and carrier.near_misses() == () and carrier.unfit() == {}
    former = carrier.settings()
    assert set(former) == {BACKEND.env, PATH.env, THRESHOLD.env}
    up = carrier.after(carrier.edit({BACKEND.env: "a.B", THRESHOLD.env: "1600000", COMPRESSION.env: "gzip"}))
    assert up.edit({**former, COMPRESSION.env: None}).after == content


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("env: {{ .Values.x }}\n", "a key is no plain text"),
        ("x: &x\nenv:\n  <<: *x\n", "what << merges is no mapping"),
        ("env: [*nothing]\n", "an anchor that does not exist"),
        ("env: " + "[" * 200 + "\n", "nests more than 100 deep"),
        ("env: \0\n", "no text that YAML allows"),
        ("[a, b]\n", "holds no mapping of keys"),
    ],
)
def test_yaml_that_is_none_for_a_chart(text: str, said: str) -> None:
    with pytest.raises(CarrierError) as raised:
        values(text)
    assert said in raised.value.message


def test_a_backend_without_its_other_settings_may_have_them_from_what_is_not_read() -> None:
    source = "extraEnvFrom: |\n  - secretRef:\n      name: more\n"
    entries = "".join(f"- name: {name}\n  value: '{value}'\n" for name, value in WANTED.items())
    assert values(f"{source}env:\n{entries}").doubts() == ()
    partly = "".join(f"- name: {name}\n  value: '{value}'\n" for name, value in WANTED.items() if name != THRESHOLD.env)
    assert "Secret more" in values(f"{source}env:\n{partly}").doubts()[0]
    assert values(f"{source}env:\n- name: {BACKEND.env}\n  value: {BASE_XCOM}\n").doubts() == ()


def test_only_what_runs_airflow_gets_settings_in_a_compose_file() -> None:
    services = {
        "airflow-postgres": "image: postgres:15",
        "airflow-redis": "image: example.org/airflow/redis:7",
        "airflow-cli": "image: apache/airflow:3.3.2",
        "clickhouse-worker": "image: example.org/data/airflow-clickhouse:1",
        "airflow-triggerer": "build: .",
        "airflow-scheduler": "image: ${IMAGE}",
    }
    text = "services:\n" + "".join(f"  {name}:\n    {line}\n" for name, line in services.items())
    carrier = ComposeFile(Path("compose.yaml"), text.encode())
    after = carrier.edit({BACKEND.env: BASE_XCOM}).after.decode()
    held = YAML(typ="safe").load(after)["services"]
    assert [name for name, service in held.items() if BACKEND.env in service.get("environment", {})] == [
        "clickhouse-worker",
        "airflow-triggerer",
        "airflow-scheduler",
    ]


def test_a_first_setting_goes_into_the_file_that_has_the_chart_s_values(tmp_path: Path) -> None:
    first, last = tmp_path / "values.yaml", tmp_path / "values-prod.yaml"
    first.write_text("airflow:\n  scheduler:\n    replicas: 1\n  config: {}\n")
    last.write_text("other:\n  chart: 1\n")
    carrier = CarrierFiles((first, last)).open()
    carrier.write(carrier.edit(WANTED))
    assert CarrierFiles((first, last)).open().settings() == WANTED
    assert last.read_text() == "other:\n  chart: 1\n"
