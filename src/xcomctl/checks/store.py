"""What the store allows this context's own identity, tried on objects of our own below the base path."""

from __future__ import annotations

import contextlib
import functools
import os
import shlex
from typing import Callable, Optional
from urllib.parse import urlsplit

from xcomctl.checks import retention
from xcomctl.checks.connection import without_path
from xcomctl.checks.interface import CheckSpec, Finding, Subject, TimedOut, fail, ok, skip
from xcomctl.checks.runner import within
from xcomctl.model import requests
from xcomctl.model.phases import Phase, path_problem
from xcomctl.model.preflight import FUNCTIONAL, STORE
from xcomctl.model.requests import CanaryAnswer
from xcomctl.model.schemes import store_scheme
from xcomctl.roundtrip import canary as offloaded
from xcomctl.store import bucket, canary
from xcomctl.store.bucket import Presence
from xcomctl.store.canary import Canary, Outcome
from xcomctl.store.opened import Store, Tried, message_of

#: The largest threshold that is tried with a value of its size, in bytes. What runs beside a scheduler counts against its
#: memory, in several copies of the value (F43); a task has a worker's.
LARGEST_TRIED = 16 * 1024 * 1024
LARGEST_TRIED_IN_TASK = 64 * 1024 * 1024
#: Seconds in which what a canary left is removed after the store had stopped to answer.
_REMOVAL_S = 10.0

_OPENED = "store.opened"
_CANARY = "store.canary"

#: What each step is called in the permissions of S3 and GCS, and what does not work without it.
_S3_ACTIONS = {
    canary.PUT: "s3:PutObject",
    canary.HEAD: "s3:GetObject",
    canary.GET: "s3:GetObject",
    canary.LIST: "s3:ListBucket",
    canary.DELETE: "s3:DeleteObject",
}
_GCS_ACTIONS = {
    canary.PUT: "storage.objects.create",
    canary.HEAD: "storage.objects.get",
    canary.GET: "storage.objects.get",
    canary.LIST: "storage.objects.list",
    canary.DELETE: "storage.objects.delete",
}
_WITHOUT = {
    canary.PUT: "every push of a large value fails",
    canary.HEAD: "every push of a large value and every read of one asks for the object first, and fails",
    canary.GET: "no reference can be read",
    canary.LIST: "every push of a large value asks whether its name is taken, and fails",
    canary.DELETE: "a purge raises or passes over it, by the version of the file system: objects are never freed, and where "
    "it raises, a retried task of Airflow 3 fails when it starts again",
}


def _has_path(subject: Subject) -> bool:
    return path_problem(subject.target.path) is None


def _offloads(subject: Subject) -> bool:
    return subject.target_phase is Phase.OFFLOAD


def _path(subject: Subject) -> str:
    return subject.target.path or ""


def _store(subject: Subject) -> Store:
    opened: Store = subject.shared[_OPENED]
    return opened


# -- the bucket


def _store_bucket(subject: Subject) -> Finding:
    if not _has_path(subject):
        return without_path(subject)
    try:
        store = Store(_path(subject))
    except Exception as error:
        return fail(
            f"the file system for {_path(subject)} cannot be opened: {message_of(error)}",
            "is the package for the path's scheme installed (s3fs, gcsfs, adlfs), and the connection complete?",
        )
    subject.shared[_OPENED] = store
    place = bucket.place(store)
    data = {"name": place.name, "latency_ms": place.tried.latency_ms, "requests": place.tried.requests}
    if store.is_local:
        if place.presence is Presence.THERE:
            return ok(f"the folder {place.name} is there and writable; every context must see this same folder", **data)
        return fail(
            f"{store.base_path} needs a folder that can be written: {place.tried.message}",
            _make_folder(store, place),
            **data,
        )
    if place.presence is Presence.THERE:
        told = " (HEAD is refused, its location is told)" if place.indirectly else ""
        return ok(f"the bucket {place.name!r} is there{told}", **data)
    if place.presence is Presence.MISSING:
        return fail(
            f"there is no bucket {place.name!r} for {store.base_path}: {place.tried.message}. Airflow would not say "
            "so: its first large value tries to create it",
            f"correct the bucket's name, or create it: {_create(store, place.name)}",
            **data,
        )
    if place.presence is Presence.REFUSED:
        return fail(
            f"the store refuses to say whether the bucket {place.name!r} is there, which is not the same as missing: "
            f"{place.tried.message}",
            "check the connection's credentials and its endpoint, and grant " + _grant(store, canary.LIST),
            **data,
        )
    return fail(
        f"whether the bucket {place.name!r} is there cannot be asked: {place.tried.message}",
        "check the connection's endpoint, its region, and the way there from this context",
        **data,
    )


def _make_folder(store: Store, place: bucket.Place) -> str:
    if isinstance(place.tried.error, NotADirectoryError):
        return (
            f"name another folder, or move that file away: mv {shlex.quote(place.name)} {shlex.quote(place.name)}.old"
        )
    root = shlex.quote(store.root)
    return f"mkdir -p {root} && chown {os.geteuid()} {root}"


def _create(store: Store, name: str) -> str:
    if store.is_s3:
        return f"aws s3 mb s3://{name}"
    scheme = store_scheme(urlsplit(store.base_path).scheme)
    if scheme == "gs":
        return f"gcloud storage buckets create gs://{name}"
    if scheme == "abfs":
        return f"az storage container create --name {name} --account-name ACCOUNT"
    return f"{name!r}, with the tool of whatever {scheme}:// stands for"


def _grant(store: Store, step: str) -> str:
    """The permission of one step and what to grant it on."""
    scheme = store_scheme(urlsplit(store.base_path).scheme)
    below = f"{store.prefix}/*" if store.prefix else "*"
    if store.is_s3:
        place = store.bucket if step == canary.LIST else f"{store.bucket}/{below}"
        return f"{_S3_ACTIONS[step]} on arn:aws:s3:::{place}"
    if scheme == "gs":
        return f"{_GCS_ACTIONS[step]} on the bucket {store.bucket}"
    return f"{step} on {store.base_path}"


# -- the canary


def _permission(step: str, subject: Subject) -> Finding:
    """What one step of the canary came to. The first that is asked for plays them all, so that nothing stays behind."""
    store, played = _store(subject), _played(subject)
    found = played.steps.get(step)
    left = f"; this object may stay behind: {played.uri}" if step == canary.DELETE and played.left_behind else ""
    if found is None:
        if played.current == step:
            return fail(
                f"{_name(step)}: no answer within {subject.options.timeout_s:g} s{left}",
                "is it reachable from this context? allow more with --timeout",
                timed_out=True,
            )
        return skip(f"the store had stopped to answer before this was tried{left}")
    tried = found.tried or Tried(None, None)
    data = {"latency_ms": tried.latency_ms, "requests": tried.requests, "object": played.uri}
    note = f" ({found.message})" if found.message else ""
    if found.outcome is Outcome.ALLOWED:
        return ok(f"{_name(step)} is allowed below {store.base_path}{note}: {tried.latency_ms:g} ms", **data)
    if found.outcome is Outcome.UNPROVEN:
        return skip(
            f"{_name(step)} cannot be told: {found.message}", f"grant {_grant(store, canary.PUT)} first", **data
        )
    if found.outcome is Outcome.REFUSED:
        return fail(
            f"{_name(step)} is refused to this context's identity below {store.base_path}: {found.message}. "
            f"Without it {_WITHOUT[step]}{left}",
            f"grant {_grant(store, step)}",
            **data,
        )
    return fail(
        f"{_name(step)} does not work below {store.base_path}: {found.message}. Without it {_WITHOUT[step]}{left}",
        "check the connection's endpoint and region, and whether a proxy or gateway answers in the store's place",
        **data,
    )


def _name(step: str) -> str:
    return step.upper()


def _played(subject: Subject) -> Canary:
    known: Optional[Canary] = subject.shared.get(_CANARY)
    if known is not None:
        return known
    trial = Canary(_store(subject))
    subject.shared[_CANARY] = trial
    with contextlib.suppress(TimedOut):  # its steps tell how far it came
        within(subject.options.timeout_s, trial.play, subject.safe_point)
    return trial


# -- the real backend


def _store_offload(subject: Subject) -> Finding:
    threshold = subject.target.threshold or 0
    largest = LARGEST_TRIED_IN_TASK if subject.options.in_task else LARGEST_TRIED
    if threshold > largest:
        return skip(
            f"the threshold is {threshold:,} bytes; no value of more than {largest:,} is pushed through the store here, "
            "since it takes a multiple of that in memory",
            "" if threshold > LARGEST_TRIED_IN_TASK else f"--in-task: a task tries up to {LARGEST_TRIED_IN_TASK:,}",
        )
    run_id = offloaded.new_run_id()
    try:
        found = subject.under_target(
            requests.OFFLOAD_CANARY, base_path=_path(subject), threshold=threshold, run_id=run_id
        )
    except TimedOut:
        return _offload_timed_out(subject, run_id)
    answer = CanaryAnswer.from_json(found)
    data = {
        "value_bytes": answer.value_bytes,
        "object_bytes": answer.object_bytes,
        "steps_ms": dict(answer.steps_ms),
        "reference": answer.reference,
        "left_behind": answer.left_behind,
    }
    left = f"; this object stays behind: {answer.left_behind}" if answer.left_behind else ""
    if answer.problem:
        return fail(
            f"a value of {answer.value_bytes:,} bytes through the real backend failed at its {answer.step}: "
            f"{answer.problem}{left}",
            _offload_hint(subject, answer),
            **data,
        )
    steps = ", ".join(f"{step} {took:g} ms" for step, took in answer.steps_ms.items())
    return ok(
        f"a value of {answer.value_bytes:,} bytes was offloaded, read back equal, and purged: {steps}{left}", **data
    )


def _offload_timed_out(subject: Subject, run_id: str) -> Finding:
    """Whoever was asked does not say what it wrote: look for it, and remove it if the store answers that."""
    store = _store(subject)
    folder = store.uri(offloaded.folder_of(run_id))
    try:
        left = within(min(subject.options.timeout_s, _REMOVAL_S), lambda: offloaded.remove(store, run_id))
    except TimedOut:
        left = folder
    found = (
        f"this may stay behind: {left}" if left else f"what lay below {folder} was removed; what arrives later is not"
    )
    return fail(
        f"a value through the real backend: no answer within {subject.options.timeout_s:g} s; {found}",
        "allow more with --timeout" + (f", and remove {left}" if left else ""),
        timed_out=True,
        left_behind=left,
    )


def _offload_hint(subject: Subject, answer: CanaryAnswer) -> str:
    if answer.step == "purge":
        return f"grant {_grant(_store(subject), canary.DELETE)}"
    if "ompression" in answer.problem:
        return "correct AIRFLOW__COMMON_IO__XCOM_OBJECTSTORAGE_COMPRESSION: gzip, bz2, xz, or empty for none"
    return "the message is the backend's or the store's own; the checks above it tell which of its requests work"


def _store_versioning(subject: Subject) -> Optional[Finding]:
    played: Optional[Canary] = subject.shared.get(_CANARY)
    return retention.versioning(subject, _store(subject), "" if played is None else played.versions_left)


def _step_check(step: str, title: str) -> CheckSpec:
    look: Callable[[Subject], Optional[Finding]] = functools.partial(_permission, step)
    return CheckSpec(
        f"store_{step}",
        STORE,
        title,
        look,
        needs=("store_bucket",),
        applies=_has_path,
        asked_by=FUNCTIONAL,
    )


CHECKS: tuple[CheckSpec, ...] = (
    CheckSpec(
        "store_bucket",
        STORE,
        "the bucket is there",
        _store_bucket,
        needs=("connection_resolves",),
        asked_by=FUNCTIONAL,
        waits=True,
    ),
    # None of these waits by itself: whoever comes first waits for the whole canary.
    _step_check(canary.PUT, "objects may be written"),
    _step_check(canary.HEAD, "objects may be looked at"),
    _step_check(canary.GET, "objects may be read"),
    _step_check(canary.LIST, "objects may be listed"),
    _step_check(canary.DELETE, "objects may be deleted"),
    CheckSpec(
        "store_offload",
        STORE,
        "a large value goes through the real backend and comes back",
        _store_offload,
        needs=("config_class", "store_bucket", "store_put", "store_head", "store_get", "store_list", "store_delete"),
        applies=lambda subject: _has_path(subject) and _offloads(subject),
        asked_by=FUNCTIONAL,
        under_target=True,
    ),
    CheckSpec(
        "store_lifecycle",
        STORE,
        "objects are expired, and not before their XComs",
        lambda subject: retention.lifecycle(subject, _store(subject)),
        needs=("store_bucket",),
        applies=_has_path,
        asked_by=FUNCTIONAL,  # and waits in two steps, for the store and for the database
    ),
    CheckSpec(
        "store_versioning",
        STORE,
        "deletes free their objects",
        _store_versioning,
        needs=("store_bucket",),
        applies=_has_path,
        asked_by=FUNCTIONAL,
        waits=True,
    ),
)
