"""What Airflow itself reads of an ``airflow.cfg`` that we read and edit. Nothing is started but its Python."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from xcomctl.deployment.carriers.airflow_cfg import AirflowCfg
from xcomctl.deployment.carriers.interface import CarrierError
from xcomctl.model.phases import Phase
from xcomctl.model.settings import BACKEND, PATH, SETTINGS, THRESHOLD, settings_for

#: Prints the settings as Airflow resolves them with its own file, and what its parser reads of every file named.
ASK = """
import json, sys
from airflow.configuration import AirflowConfigParser, conf

def value(ask, *place):
    try:
        return ask(*place, fallback=None)
    except Exception as error:
        return {"raised": type(error).__name__}

def read(path):
    parser = AirflowConfigParser()
    try:
        parser.read(path)
    except Exception as error:
        return {"raised": type(error).__name__}
    return {env: value(parser.get, *place) for env, place in places.items()}

places = json.loads(sys.argv[1])
print(json.dumps({
    "resolved": {env: value(conf.get, *place) for env, place in places.items()},
    "threshold": value(conf.getint, *places[sys.argv[2]]),
    "files": {path: read(path) for path in sys.argv[3:]},
}))
"""

#: A path with what an INI, a shell and a person's eye take for something else.
AWKWARD = "s3://s3_conn@bucket/50%25 off;#1 [x] = 'y': z"

#: Its own sections and keys indented, remarks that look like settings, a default commented out as Airflow writes it.
EDITED = b"""\
; [common.io] of before
# xcom_backend = no.Such
  [core]
  dags_folder : /tmp/no dags
  # xcom_backend =

[api]
xcom_backend = of.Another
XCOM_OBJECTSTORAGE_PATH = s3://no@no/no

[common.io]\r
xcom_objectstorage_threshold:"1.6e+06"   \r
xcom_objectstorage_compression =\r
; the end"""

READ = {
    "remark": b"[common.io]\nxcom_objectstorage_threshold = 5  # why\n",
    "quoted": b'[common.io]\nxcom_objectstorage_threshold = "1600000"\n',
    "old-mac": b"[core]\rxcom_backend = a.B\r",
    "upper-case": b"[core]\nXCOM_BACKEND = a.B\n",
    "capital": b"[Core]\nxcom_backend = a.B\n",
    "underscore": b"[common_io]\nxcom_objectstorage_path = s3://c@b/x\n",
    "swallowed": b"[core]\nxcom_backend = a.B\n# why\n\n  executor = X\n",
    "percent": b"[common.io]\nbucket = b\nxcom_objectstorage_path = s3://c@%(bucket)s/a%%2Fb\n",
    "empty": b"[common.io]\nxcom_objectstorage_path =\n",
}
NOT_READ = {
    "byte-order-mark": b"\xef\xbb\xbf[core]\nxcom_backend = a.B\n",
    "no-section": b"xcom_backend = a.B\n",
    "no-value": b"[core]\nxcom_backend\n",
    "section-twice": b"[core]\nxcom_backend = a.B\n[core]\n",
    "key-twice": b"[core]\nexecutor = X\nexecutor = X\nxcom_backend = a.B\n",
    "lone-percent": b"[core]\nxcom_backend = a%B\n",
}


@pytest.fixture(scope="module")
def asked(airflow_env: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """What Airflow answered about its own edited ``airflow.cfg`` and about the files above, all at once."""
    folder = tmp_path_factory.mktemp("carriers")
    config = folder / "airflow.cfg"
    config.write_bytes(EDITED)
    carrier = AirflowCfg.read(config)
    carrier.write(carrier.edit(settings_for(Phase.OFFLOAD, AWKWARD, 1_600_000, "gzip")))
    for name, content in {**READ, **NOT_READ}.items():
        (folder / name).write_bytes(content)
    answered = subprocess.run(
        [
            str(airflow_env / "bin" / "python"),
            "-c",
            ASK,
            json.dumps({setting.env: (setting.section, setting.key) for setting in SETTINGS}),
            THRESHOLD.env,
            *READ,
            *NOT_READ,
        ],
        cwd=folder,
        env={"PATH": os.defpath, "HOME": str(folder), "AIRFLOW_HOME": str(folder), "AIRFLOW_CONFIG": str(config)},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert answered.returncode == 0, answered.stderr
    return {"carrier": config, **json.loads(answered.stdout.splitlines()[-1])}


@pytest.fixture(scope="module")
def default(asked: dict[str, Any]) -> Callable[[str], Any]:
    """What Airflow answers for a setting that a file does not set."""
    nothing_about_it = {BACKEND.env: "empty", PATH.env: "upper-case"}
    return lambda env: asked["files"][nothing_about_it.get(env, "old-mac")][env]


def test_airflow_resolves_what_was_written(asked: dict[str, Any]) -> None:
    wanted = settings_for(Phase.OFFLOAD, AWKWARD, 1_600_000, "gzip")
    assert asked["resolved"] == wanted
    assert asked["threshold"] == 1_600_000
    assert AirflowCfg.read(asked["carrier"]).settings() == wanted


@pytest.mark.parametrize("name", READ)
def test_airflow_reads_what_we_read(asked: dict[str, Any], default: Callable[[str], Any], name: str) -> None:
    found = AirflowCfg(Path(name), READ[name]).settings()
    assert asked["files"][name] == {setting.env: found.get(setting.env, default(setting.env)) for setting in SETTINGS}


@pytest.mark.parametrize("name", NOT_READ)
def test_airflow_does_not_read_what_we_refuse(asked: dict[str, Any], name: str) -> None:
    with pytest.raises(CarrierError):
        AirflowCfg(Path(name), NOT_READ[name])
    answer = asked["files"][name]
    assert "raised" in answer or "raised" in answer[BACKEND.env]
