"""The far side of :mod:`tests.support.warm`: a process in which Airflow is loaded, and which forks one child per call.

    python loaded_context.py serve DESCRIPTOR          by the Python that has Airflow, in the context's environment
    python loaded_context.py call python -c PROGRAM    the command prefix, with the server's socket in a variable
    python loaded_context.py carried FILE python -c …  the same with the variables of a ``.env`` file, of now: which server that
                                                       needs is asked at the socket in another variable

``call`` hands its descriptors, its environment and its working directory to the server, whose child runs the program with
them as ``python -c`` would, and ends as that child ends. A program: nothing of ours is imported here.
"""

from __future__ import annotations

import array
import gc
import json
import os
import signal
import socket
import sys
import threading
import traceback
from typing import Any, NoReturn

#: Names the server's socket to ``call``.
VARIABLE = "XCOMCTL_TESTS_LOADED"
#: Names the socket at which ``carried`` asks for a server.
DOOR = "XCOMCTL_TESTS_DOOR"
#: What an agent imports, by line and in its order: the XCom class is resolved here, by the settings of this environment.
LOADED = {
    2: ("airflow.models.xcom", "airflow.io.path", "airflow.providers.amazon.aws.fs.s3", "s3fs"),
    3: ("airflow.models.xcom", "airflow.sdk.execution_time.xcom", "airflow.sdk.io.path",
        "airflow.providers.amazon.aws.fs.s3", "s3fs"),
}  # fmt: skip


def load() -> None:
    """Import Airflow as the agent does."""
    from importlib import import_module, metadata

    try:
        major = int(metadata.version("apache-airflow-core").partition(".")[0])
    except metadata.PackageNotFoundError:
        major = 2
    if major > 2:
        os.environ["_AIRFLOW_PROCESS_CONTEXT"] = "server"
    import_module("airflow")
    if major == 2:
        import_module("airflow.providers_manager").ProvidersManager().initialize_providers_configuration()
    for name in LOADED[major]:
        import_module(name)


def serve(descriptor: int) -> None:
    """Take calls until this process is ended. Who calls meanwhile waits for Airflow to be loaded."""
    with socket.socket(fileno=descriptor) as listener:
        load()
        assert threading.active_count() == 1, threading.enumerate()  # a fork has the thread alone that forks
        gc.freeze()  # what is shared with every child stays so
        signal.signal(signal.SIGCHLD, signal.SIG_IGN)
        while True:
            connection, _ = listener.accept()
            if os.fork() == 0:
                listener.close()
                mind(connection)
            connection.close()


def mind(connection: socket.socket) -> NoReturn:
    """Run what is asked for in a child of this one, and say how it ended."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    asked, descriptors = receive(connection)
    child = os.fork()
    if child == 0:
        connection.close()
        become(asked, descriptors)
    _, status = os.waitpid(child, 0)
    connection.sendall(b"%d" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def receive(connection: socket.socket) -> tuple[dict[str, Any], list[int]]:
    """The call, and its three descriptors."""
    found = array.array("i")
    data, ancillary, _, _ = connection.recvmsg(1 << 16, socket.CMSG_SPACE(3 * found.itemsize))
    for _, _, numbers in ancillary:
        found.frombytes(numbers)
    while not data.endswith(b"\0"):  # JSON has none
        data += connection.recv(1 << 16)
    asked: dict[str, Any] = json.loads(data[:-1])
    return asked, list(found)


def become(asked: dict[str, Any], descriptors: list[int]) -> NoReturn:
    """The program, as ``python -c`` runs it, in a process whose Airflow is loaded."""
    for number, descriptor in enumerate(descriptors):
        os.dup2(descriptor, number)
        os.close(descriptor)
    os.environ.clear()
    os.environ.update(asked["environment"])
    os.chdir(asked["folder"])
    forget_connections()
    _, flag, program, *arguments = asked["words"]
    assert flag == "-c", flag
    sys.argv = ["-c", *arguments]
    sys.path.insert(0, "")
    status = 1
    try:
        exec(compile(program, "<string>", "exec"), {"__name__": "__main__", "__builtins__": __builtins__})
        status = 0
    except SystemExit as error:
        if isinstance(error.code, str):
            print(error.code, file=sys.stderr)
        status = error.code if isinstance(error.code, int) else int(error.code is not None)
    except BaseException:
        traceback.print_exc()
    finally:
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(status)


def forget_connections() -> None:
    """No connection to a database is shared with the parent or with a sibling."""
    from airflow import settings

    if settings.engine is not None:
        settings.engine.dispose(close=False)


def call(words: list[str]) -> int:
    """Have the server run it; the exit status, as a shell would give it."""
    environment = dict(os.environ)
    place = environment.pop(VARIABLE)
    asked = {"words": words, "environment": environment, "folder": os.getcwd()}
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(place)
        passed = [(socket.SOL_SOCKET, socket.SCM_RIGHTS, array.array("i", [0, 1, 2]))]
        data = json.dumps(asked).encode() + b"\0"
        sent = connection.sendmsg([data], passed)
        connection.sendall(data[sent:])
        for descriptor in (0, 1, 2):
            os.close(descriptor)
        status = int(connection.recv(16) or b"255")
    return status if status >= 0 else 128 - status


def carried(file: str, words: list[str]) -> int:
    """Call the server of an environment that has what the file carries now."""
    import subprocess

    door = os.environ.pop(DOOR)
    said = subprocess.run(["sh", "-c", 'set -a; . "$1"; env -0', "sh", file], stdout=subprocess.PIPE, check=True).stdout
    environment = dict(entry.split("=", 1) for entry in os.fsdecode(said).split("\0") if entry)
    with socket.socket(socket.AF_UNIX) as connection:
        connection.connect(door)
        connection.sendall(json.dumps(environment).encode() + b"\n")
        os.environ.clear()
        os.environ.update(environment, **{VARIABLE: connection.recv(1 << 12).decode()})
    return call(words)


if __name__ == "__main__":
    if sys.argv[1] == "serve":
        serve(int(sys.argv[2]))
    elif sys.argv[1] == "carried":
        sys.exit(carried(sys.argv[2], sys.argv[3:]))
    else:
        sys.exit(call(sys.argv[2:]))
