"""Providers: what the backend is made of is installed, goes together, and imports."""

from __future__ import annotations

from collections.abc import Iterable
from importlib import import_module, metadata
from typing import Optional

from xcomctl.airflow_compat import file_systems, loading
from xcomctl.checks.interface import CheckSpec, Finding, Subject, fail, ok, warn
from xcomctl.checks.setting_words import line_for
from xcomctl.model import requests
from xcomctl.model.phases import BASE_XCOM, BASE_XCOM_SPELLINGS, OBJECT_STORAGE_BACKEND, Line, Phase
from xcomctl.model.preflight import PROVIDER
from xcomctl.model.schemes import store_scheme
from xcomctl.model.settings import BACKEND, COMPRESSION, SUFFIX_NOT_CODEC
from xcomctl.model.versions import COMMON_IO_KNOWN_BAD, UNIVERSAL_PATHLIB, UNIVERSAL_PATHLIB_KNOWN_BAD, KnownBad

_COMMON_IO, _KUBERNETES = "common.io", "cncf.kubernetes"
#: What pip has to be given for a scheme that Airflow cannot open, and the library that does the work.
_PACKAGES = {
    "s3": ("apache-airflow-providers-amazon[s3fs]", "s3fs"),
    "gs": ("apache-airflow-providers-google", "gcsfs"),
    "abfs": ("apache-airflow-providers-microsoft-azure", "adlfs"),
}
#: What has to be installed for a codec that fsspec knows only then.
_CODEC_PACKAGES = {"lz4": "lz4", "snappy": "python-snappy", "zstd": "zstandard"}


def _common_io(subject: Subject) -> Finding:
    version = loading.providers().get(_COMMON_IO)
    if version is not None:
        return ok(f"apache-airflow-providers-common-io {version}", version=version)
    hint = "pip install apache-airflow-providers-common-io"
    said = "apache-airflow-providers-common-io is not installed in this context: there is no object-storage backend"
    if subject.target_phase is Phase.INLINE:
        return warn(said, hint)
    return fail(said, hint)


def _version(subject: Subject) -> Optional[Finding]:
    version = loading.providers().get(_COMMON_IO)
    if version is None:
        return None  # told by provider_common_io
    return _judged(COMMON_IO_KNOWN_BAD, "apache-airflow-providers-common-io", version)


def _universal_pathlib(subject: Subject) -> Optional[Finding]:
    try:
        version = metadata.version(UNIVERSAL_PATHLIB)
    except metadata.PackageNotFoundError:
        return fail(f"{UNIVERSAL_PATHLIB} is not installed: Airflow's object storage paths need it",
                    f"pip install {UNIVERSAL_PATHLIB}")  # fmt: skip
    return _judged(UNIVERSAL_PATHLIB_KNOWN_BAD, UNIVERSAL_PATHLIB, version)


def _judged(known: Iterable[KnownBad], package: str, version: str) -> Finding:
    airflow = loading.version()
    both = f"Airflow {airflow} with {package} {version}"
    bad = [row for row in known if row.matches(airflow, version)]
    if not bad:
        return ok(f"{both}: nothing known against it", airflow=airflow, version=version)
    said = "; ".join(f"{row.sentence} ({row.failure})" for row in bad)
    fixes = " ".join(sorted({f"'{row.fix}'" for row in bad}))
    return fail(f"{both}: {said}", f"pip install {fixes}", airflow=airflow, version=version,
                failures=[row.failure for row in bad])  # fmt: skip


def _backend_class(subject: Subject) -> Finding:
    wanted = subject.target.backend or BASE_XCOM
    answer = subject.under_target(requests.RESOLVE)
    found = answer["class_path"]
    if found is None:
        return fail(f"Airflow cannot import {wanted}: {answer['class_error']}", _importable(subject, wanted))
    name = found.rpartition(".")[2]
    if found == wanted or {found, wanted} <= BASE_XCOM_SPELLINGS:
        return ok(f"Airflow imports {found}; XCom.__name__ is {name}", class_path=found)
    return fail(
        f"expected {wanted}, and what Airflow resolves is {found}; XCom.__name__ is {name}",
        line_for(BACKEND, found),
        class_path=found,
    )


def _importable(subject: Subject, wanted: str) -> str:
    if wanted == OBJECT_STORAGE_BACKEND:
        return "pip install -U apache-airflow-providers-common-io"
    if wanted in BASE_XCOM_SPELLINGS and subject.line is Line.AF2:
        return line_for(BACKEND, BASE_XCOM)
    return line_for(BACKEND, OBJECT_STORAGE_BACKEND)


def _filesystem(subject: Subject) -> Finding:
    scheme = _scheme(subject)
    package, library = _PACKAGES.get(store_scheme(scheme), ("", ""))
    hint = f"pip install '{package}'" if package else "use a scheme that Airflow can open: s3, gs, abfs or file"
    opener = "Airflow itself"
    if library:
        try:
            opener = f"{library} {import_module(library).__version__}"
        except Exception as error:  # a conflict below it may raise anything (F25)
            said = f"{scheme}:// needs {library}, which does not import: {type(error).__name__}: {error}"
            return fail(said, hint, scheme=scheme)
    problem = file_systems.problem(scheme)
    if problem is not None:
        return fail(f"Airflow cannot open {scheme}:// paths: {problem}", hint, scheme=scheme)
    return ok(f"{scheme}:// is opened by {opener}", scheme=scheme)


def _scheme(subject: Subject) -> str:
    scheme, separator, _ = (subject.target.path or "").partition("://")
    return scheme.lower() if separator else ""


def _has_scheme(subject: Subject) -> bool:
    return bool(_scheme(subject))


def _compression(subject: Subject) -> Finding:
    codec = subject.target.compression or ""
    source = subject.settings[COMPRESSION.name].source
    if subject.options.expect_compression is not None:
        source = "--expect-compression"
    import_module("fsspec.compression")  # registers the codecs
    names = sorted(set(import_module("fsspec.utils").compressions.values()))
    if codec in names:
        return ok(f"{codec}, from {source}", codecs=names)
    said = f"expected one of {', '.join(names)}, resolved {codec} from {source}: the first large write fails"
    if codec in SUFFIX_NOT_CODEC:
        return fail(f"{said}; it is a file suffix", line_for(COMPRESSION, SUFFIX_NOT_CODEC[codec]), codecs=names)
    if codec in _CODEC_PACKAGES:
        return fail(f"{said}; its library is not installed", f"pip install {_CODEC_PACKAGES[codec]}", codecs=names)
    return fail(said, line_for(COMPRESSION, "gzip"), codecs=names)


def _pod_operator(subject: Subject) -> Optional[Finding]:
    """F26: the sidecar's result passes through the API server and the worker before any backend sees it."""
    version = loading.providers().get(_KUBERNETES)
    if version is None or subject.target_phase is not Phase.OFFLOAD:
        return None
    return warn(
        f"KubernetesPodOperator (cncf.kubernetes {version}) reads a step's /airflow/xcom/return.json through the Kubernetes API "
        "before the backend sees it: its own limit stays, whatever the threshold (F26)",
        "a step with a large result writes it to the store itself, and pushes where it lies",
        version=version,
    )


def _in_step_pod(subject: Subject) -> bool:
    return subject.options.step_pod


def _compresses(subject: Subject) -> bool:
    return bool(subject.target.compression)


CHECKS: tuple[CheckSpec, ...] = (
    CheckSpec("provider_common_io", PROVIDER, "the common.io provider is installed", _common_io),
    CheckSpec("provider_version", PROVIDER, "nothing is known against its version on this Airflow", _version),
    CheckSpec("provider_universal_pathlib", PROVIDER, "universal_pathlib goes with this Airflow", _universal_pathlib),
    CheckSpec("provider_backend_class", PROVIDER, "the backend imports and is what Airflow resolves", _backend_class,
        under_target=True,
    ),
    CheckSpec(
        "provider_filesystem", PROVIDER, "Airflow can open the path's scheme", _filesystem, applies=_has_scheme
    ),
    CheckSpec(
        "provider_compression", PROVIDER, "the backend accepts the compression", _compression, applies=_compresses
    ),
    CheckSpec(
        "provider_pod_operator", PROVIDER, "KubernetesPodOperator hands results over", _pod_operator, applies=_in_step_pod
    ),
)  # fmt: skip
