"""A sandbox's database and store without its Airflow, to be filled with much: the cores are for what is measured."""

from __future__ import annotations

import itertools
import json
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Self

from tests.support.stood_up import StoodUp
from tests.support.walk import sql
from xcomctl.model.phases import Phase
from xcomctl.model.settings import settings_for

#: Processes that put objects at the same time, and how many each puts at a time.
_PROCESSES, _AT_A_TIME = 4, 4
#: One of them. The program before it says by ``thing(n)`` what object a number is: its key below the base path, its bytes.
#: A bare PUT to a signed URL: boto3 takes longer for one than the server.
_PUT = f"""
import boto3, http.client, json, sys, threading, urllib.parse
from concurrent.futures import ThreadPoolExecutor
given = json.loads(sys.stdin.read())
client = boto3.client("s3", **given["client"])
own = threading.local()
def put(n):
    key, data = thing(n)
    named = {{"Bucket": given["bucket"], "Key": given["prefix"] + "/" + key}}
    url = urllib.parse.urlsplit(client.generate_presigned_url("put_object", Params=named))
    if not hasattr(own, "connection"):
        own.connection = http.client.HTTPConnection(url.netloc)
    own.connection.request("PUT", url.path + "?" + url.query, body=data)
    answer = own.connection.getresponse()
    said = answer.read()
    assert answer.status == 200, said
with ThreadPoolExecutor({_AT_A_TIME}) as pool:
    for _ in pool.map(put, range(given["start"], given["end"])):
        pass
"""


class Bulk(StoodUp):
    """It is up as long as the block lasts; what is started in it resolves the settings of ``phase``."""

    def __init__(self, environment: Path, phase: Phase = Phase.OFFLOAD) -> None:
        super().__init__(environment, {})
        self._phase = phase

    def __enter__(self) -> Self:
        super().__enter__()
        try:
            self.sandbox.airflow.stop()
            self.sandbox.configure(settings_for(self._phase, self.base_path, 20_000))
        except BaseException:
            self.sandbox.stop()
            raise
        return self

    @property
    def s3(self) -> dict[str, Any]:
        """``bucket`` and ``prefix`` of the base path, and the arguments of boto3's ``client``."""
        store = self.sandbox.store
        assert store is not None
        assert store.connection is not None
        bucket, _, prefix = self.base_path.partition("@")[2].partition("/")
        extra = json.loads(store.connection["extra"])
        client = {
            "aws_access_key_id": store.connection["login"],
            "aws_secret_access_key": store.connection["password"],
            "endpoint_url": extra["endpoint_url"],
            "region_name": extra["region_name"],
        }
        return {"bucket": bucket, "prefix": prefix, "client": client}

    def sql(self, statement: str) -> list[list[str]]:
        """The rows of one statement, however long it takes."""
        return sql(self, statement, timeout_s=None)

    def started(self, program: str, given: Mapping[str, Any]) -> subprocess.Popen[str]:
        """A program in Airflow's Python, which has boto3 and a driver; it reads what it is given from its input, as JSON."""
        process = subprocess.Popen(
            [str(self.python), "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert process.stdin is not None
        process.stdin.write(json.dumps(given))
        process.stdin.close()
        return process

    def put(self, things: str, start: int, end: int) -> None:
        """Put an object for each number from ``start`` to before ``end``; ``things`` is a program that defines ``thing(n)``."""
        edges = [start + (end - start) * part // _PROCESSES for part in range(_PROCESSES + 1)]
        processes = [
            self.started(things + _PUT, {**self.s3, "start": first, "end": last})
            for first, last in itertools.pairwise(edges)
        ]
        assert [process.wait() for process in processes] == [0] * _PROCESSES

    def add_runs(self, dag_id: str, start: int, end: int, since: str = "now()") -> None:
        """Runs ``run_000`` and so on, all over."""
        when = "execution_date" if self.line == "2" else "run_after"
        self.sql(
            f"INSERT INTO dag_run (dag_id, run_id, state, run_type, {when}) SELECT '{dag_id}', {run_id_of('n')}, "
            f"'success', 'manual', {since} + n * interval '1 second' FROM generate_series({start}, {end - 1}) n"
        )

    def add_instances(self, dag_id: str, task_id: str, run: str, map_index: str, start: int, end: int) -> None:
        """Task instances for the numbers ``n``: ``run`` and ``map_index`` say of which run each is, and which one of it."""
        more, values = ("", "") if self.line == "2" else (", id, try_number", ", gen_random_uuid(), 1")
        self.sql(
            f"INSERT INTO task_instance (dag_id, run_id, task_id, map_index, state, pool, pool_slots{more}) "
            f"SELECT '{dag_id}', {run_id_of(run)}, '{task_id}', {map_index}, 'success', 'default_pool', 1{values} "
            f"FROM generate_series({start}, {end - 1}) n"
        )


def run_id_of(number: str) -> str:
    """The id of a run by its number, as SQL."""
    return f"'run_' || lpad(({number})::text, 3, '0')"
