"""How long the store keeps objects: lifecycle rules beside the age of XComs, and versions beside deletes.

A rule that expires objects which rows still name is F2: the reader gets a path in place of the value and no task
fails. So a rule is a fail when there are references older than it allows, and a warning when XComs in general are kept
longer. No rule at all is a warning, since nothing else frees what no row names any more. What this identity may not
see is a warning too: the backend does not need the permission.
"""

from __future__ import annotations

import datetime
import json
from typing import Any, Optional

from xcomctl.airflow_compat import database
from xcomctl.checks.interface import Finding, Subject, TimedOut, fail, ok, warn
from xcomctl.checks.runner import within
from xcomctl.metadata.reading import read_only
from xcomctl.metadata.tables import tables
from xcomctl.metadata.xcoms import url_like_rows
from xcomctl.model.references import Kind, classify
from xcomctl.store.bucket import Rule, lifecycle_rules, shortest_expiry
from xcomctl.store.opened import Store, Tried, message_of

_CONFIGURATION = "store.lifecycle"


def lifecycle(subject: Subject, store: Store) -> Optional[Finding]:
    """Whether objects expire, and not before the XComs that name them (F2). S3 alone tells it through fsspec."""
    if not store.is_s3:
        return None
    # By itself: the database has a time of its own, or a large table would be reported as a store that hangs.
    tried = within(subject.options.timeout_s, lambda: _configuration(subject, store), subject.safe_point)
    if tried.error is not None and not _is_absent(tried):
        return warn(
            f"the lifecycle rules of {store.bucket!r} are not visible to this identity: {tried.message}. The backend "
            "does not need to see them, but a rule that expires objects earlier than XComs makes readers get paths",
            f"aws s3api get-bucket-lifecycle-configuration --bucket {store.bucket}",
        )
    configuration = tried.result or {}
    rules = lifecycle_rules(configuration, store.prefix)
    data = {"rules": [rule.id for rule in rules], "latency_ms": tried.latency_ms}
    dated = next((rule for rule in rules if rule.dated is not None), None)
    if dated is not None:
        return fail(
            f"the lifecycle rule {dated.id!r} expires every object below {store.base_path} from {dated.dated} on, "
            "however young: readers of references get a path in place of the value",
            "take the date out of that rule, which shows: "
            f"aws s3api get-bucket-lifecycle-configuration --bucket {store.bucket}",
            **data,
        )
    shortest = shortest_expiry(rules)
    if shortest is None or shortest.days is None:
        return warn(
            f"no lifecycle rule expires what lies below {store.base_path}: objects that nothing names any more "
            "(deleted rows, re-pushed keys, killed tasks) are never freed",
            _rule_line(store, bool(configuration.get("Rules"))),
            **data,
        )
    return _judged(subject, store, shortest, shortest.days, data)


def _configuration(subject: Subject, store: Store) -> Tried:
    """The bucket's lifecycle configuration, asked for once."""
    if _CONFIGURATION not in subject.shared:
        subject.shared[_CONFIGURATION] = store.attempt(
            lambda: store.s3("get_bucket_lifecycle_configuration", Bucket=store.bucket)
        )
    found: Tried = subject.shared[_CONFIGURATION]
    return found


def _is_absent(tried: Tried) -> bool:
    """Whether the error says that the bucket has no lifecycle configuration."""
    return "lifecycle configuration does not exist" in tried.message or "NoSuchLifecycleConfiguration" in tried.message


def _judged(subject: Subject, store: Store, rule: Rule, days: int, data: dict[str, Any]) -> Finding:
    """Against the metadata database: a reference that is older than the rule allows has lost its object, or will."""
    data["days"] = days
    told = f"the lifecycle rule {rule.id!r} expires objects {days} days after they were written"
    before = datetime.datetime.now(datetime.timezone.utc) - datetime.timedelta(days=max(days - 1, 1))
    hint = (
        "lengthen the rule, or delete older XComs first: "
        f"airflow db clean --tables xcom --clean-before-timestamp {before:%Y-%m-%d}"
    )
    try:
        kept, reference = within(subject.options.timeout_s, lambda: _ages(subject, store, days), subject.safe_point)
    except TimedOut:
        return warn(
            f"{told}; the age of stored XComs was not measured: the metadata database did not answer within "
            f"{subject.options.timeout_s:g} s",
            f"allow more with --timeout, or {hint}",
            **data,
        )
    except Exception as error:
        return warn(f"{told}; how long XComs are kept here cannot be read: {message_of(error)}", hint, **data)
    data["oldest_xcom_days"] = kept
    if reference is not None:
        return fail(
            f"{told}, and there are references older than that, such as {reference}: readers get a path in place of "
            "the value, without an error",
            hint,
            **data,
        )
    if kept is not None and kept >= days:
        return warn(f"{told}, and XComs are kept longer: the oldest is {kept} days old", hint, **data)
    if not rule.whole:
        return warn(f"{told}, but only a part of what lies below {store.base_path}", _rule_line(store, True), **data)
    return ok(f"{told}; the oldest XCom is {kept or 0} days old. Keep airflow db clean below that", **data)


def _ages(subject: Subject, store: Store, days: int) -> tuple[Optional[int], Optional[str]]:
    """The age of the oldest XCom in days, and a reference under the base path that is older than so many."""
    import sqlalchemy as sa

    now = datetime.datetime.now(datetime.timezone.utc)
    limit = now - datetime.timedelta(days=days)
    schema = tables(subject.line, database.schema())
    with read_only(database.engine()) as connection:
        oldest = connection.execute(sa.select(sa.func.min(schema.xcom.c.timestamp))).scalar()
        if oldest is None:
            return None, None
        kept = (now - _aware(oldest)).days
        if _aware(oldest) > limit:
            return kept, None
        for row in url_like_rows(connection, schema):
            old = row.timestamp is not None and _aware(row.timestamp) <= limit
            if old and classify(row.text, store.base_path).kind is Kind.REFERENCE:
                return kept, f"{row.dag_id}.{row.task_id} of {row.run_id}"
        return kept, None


def _aware(moment: datetime.datetime) -> datetime.datetime:
    return moment if moment.tzinfo is not None else moment.replace(tzinfo=datetime.timezone.utc)


def _rule_line(store: Store, others: bool) -> str:
    prefix = f"{store.prefix}/" if store.prefix else ""
    rule = {"ID": "airflow-xcom", "Status": "Enabled", "Filter": {"Prefix": prefix}, "Expiration": {"Days": 90}}
    if others:  # the call replaces them all
        return f"add to the bucket's lifecycle rules, with more days than XComs are kept: {json.dumps(rule)}"
    return (
        "with more days than XComs are kept: "
        f"aws s3api put-bucket-lifecycle-configuration --bucket {store.bucket} --lifecycle-configuration "
        f"'{json.dumps({'Rules': [rule]})}'"
    )


def versioning(subject: Subject, store: Store, own_left: str) -> Optional[Finding]:
    """Whether deletes leave versions behind, and what becomes of them. ``own_left``: why those of our objects stay."""
    if not store.is_s3:
        return None
    tried = store.attempt(lambda: store.s3("get_bucket_versioning", Bucket=store.bucket))
    if tried.error is not None:
        return warn(
            f"whether {store.bucket!r} keeps versions is not visible to this identity: {tried.message}. If it does, a "
            "purge frees nothing",
            f"aws s3api get-bucket-versioning --bucket {store.bucket}",
        )
    status = (tried.result or {}).get("Status")
    if status != "Enabled":
        return ok(f"{store.bucket!r} keeps no versions: a purge frees its object, and cannot be undone", status=status)
    configured = _configuration(subject, store)
    unseen = configured.error is not None and not _is_absent(configured)
    rules = lifecycle_rules(configured.result or {}, store.prefix)
    own = f". Those of this pre-flight's own objects stay, too: {own_left}" if own_left else ""
    days = [rule.noncurrent_days for rule in rules if rule.whole and rule.noncurrent_days is not None]
    if days:
        return ok(
            f"{store.bucket!r} keeps versions, and a lifecycle rule expires them {min(days)} days after a purge{own}",
            status=status,
            noncurrent_days=min(days),
        )
    prefix = f"{store.prefix}/" if store.prefix else ""
    rule = {"ID": "airflow-xcom-versions", "Status": "Enabled", "Filter": {"Prefix": prefix},
            "NoncurrentVersionExpiration": {"NoncurrentDays": 7}}  # fmt: skip
    return warn(
        f"{store.bucket!r} keeps versions: what a purge deletes can be restored, but is paid for until a rule expires "
        "it, and "
        + ("whether one does is not visible to this identity" if unseen else "no rule on this prefix does")
        + own,
        f"add to the bucket's lifecycle rules: {json.dumps(rule)}",
        status=status,
    )
