"""What runs pods: a container's command is a process on this machine, with the environment that the container would have.

There are no namespaces but for processes, where an image wants them: they see the network and the disk. Volumes are not mounted. A container without
a command idles. What is exec'd outlives the client that asked for it, as on a cluster, and ends with its pod.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from tests.support.kube import containers, kinds
from tests.support.kube.containers import ConfigError, Image
from tests.support.kube.kinds import Object
from tests.support.kube.store import ADDED, Change, ObjectStore, now

_NODE = "node-1"
#: Puts a program into a process namespace of its own, and ends it with itself.
_ALONE = ("unshare", *(() if os.geteuid() == 0 else ("--user", "--map-root-user")), "--pid", "--fork", "--kill-child", "--mount-proc")  # fmt: skip
_PROBE_EVERY_S = 0.2


class Unknown(Exception):
    """There is no such container, or it does not run."""


@dataclass
class Sandbox:
    """A pod that runs: its folder, what is in it, and who waits for its containers."""

    folder: Path
    lives: asyncio.Task[None] | None = None
    processes: list[asyncio.subprocess.Process] = field(default_factory=list)
    #: Set when it is known how every container is, or that none will be.
    settled: asyncio.Event = field(default_factory=asyncio.Event)

    def alive(self) -> list[asyncio.subprocess.Process]:
        """Its processes that have not ended."""
        return [process for process in self.processes if process.returncode is None]

    def end(self, number: signal.Signals) -> None:
        """A signal to everything in it, and to what that started."""
        for process in self.alive():
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, number)


class Kubelet:
    """Starts what is created, tells how it is, and ends what is deleted. ``images`` are those that can be pulled."""

    def __init__(self, store: ObjectStore, folder: Path, images: Mapping[str, Image]) -> None:
        self._store, self._folder, self._images = store, folder, images
        self._sandboxes: dict[str, Sandbox] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        #: What went wrong in here, and not in a pod.
        self.failures: list[BaseException] = []
        store.followers.append(self._follow)

    def _follow(self, change: Change) -> None:
        if change.kind == kinds.POD and change.how == ADDED:
            folder = self._folder / change.thing["metadata"]["uid"]
            folder.mkdir(parents=True)
            sandbox = self._sandboxes[change.thing["metadata"]["uid"]] = Sandbox(folder)
            sandbox.lives = self._background(self._live(change.thing, sandbox))

    def delete(self, pod: Object, grace_s: float) -> None:
        """Begin to end a pod; it is gone when its processes are, ``grace_s`` seconds later at the latest."""
        pod = self._current(pod) or pod
        if "deletionTimestamp" not in pod["metadata"]:
            pod["metadata"].update(deletionTimestamp=now(), deletionGracePeriodSeconds=grace_s)
            self._store.put(pod)
        self._background(self._end_and_remove(pod, grace_s))

    async def settled(self, pod: Object) -> None:
        """Wait until it is known how every container of a pod is."""
        await self._sandboxes[pod["metadata"]["uid"]].settled.wait()

    def evict(self, namespace: str, name: str) -> None:
        """End a pod at once, as a node under pressure does; the pod stays, failed."""
        pod = self._store.get(kinds.POD, namespace, name)
        assert pod is not None
        self._fail(pod, "Evicted", "The node was low on resource: memory.")

    def processes(self, namespace: str, name: str) -> list[asyncio.subprocess.Process]:
        """What lives in a pod."""
        pod = self._store.get(kinds.POD, namespace, name)
        return self._sandboxes[pod["metadata"]["uid"]].alive() if pod else []

    def log_of(self, pod: Object, container: str) -> Path:
        """The file with a container's output."""
        return self._sandboxes[pod["metadata"]["uid"]].folder / f"{container}.log"

    def running(self, pod: Object, container: str) -> Object:
        """A container by its name. Raises :class:`Unknown`."""
        found = next((each for each in pod["spec"]["containers"] if each["name"] == container), None)
        states = {each["name"]: each["state"] for each in pod.get("status", {}).get("containerStatuses", [])}
        if found is None:
            raise Unknown(f"container {container} is not valid for pod {pod['metadata']['name']}")
        if "running" not in states.get(container, {}):
            raise Unknown(f'container not found ("{container}")')
        return dict(found)

    async def exec(
        self, pod: Object, container: Object, words: Sequence[str], **streams: Any
    ) -> asyncio.subprocess.Process:
        """Start a command inside. Raises ``OSError`` where there is no such program."""
        return await self._spawn(pod, container, words, **streams)

    async def stop(self) -> None:
        """End everything."""
        for sandbox in self._sandboxes.values():
            sandbox.end(signal.SIGKILL)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for sandbox in self._sandboxes.values():
            await asyncio.gather(*(process.wait() for process in sandbox.processes))

    # -- the life of a pod

    async def _live(self, pod: Object, sandbox: Sandbox) -> None:
        spec = pod["spec"]
        if spec.get("nodeSelector"):
            self._tell(pod, phase="Pending", conditions=[_condition("PodScheduled", False, "Unschedulable", "0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector.")])  # fmt: skip
            sandbox.settled.set()
            return
        self._tell(pod, phase="Pending", startTime=now(), hostIP="127.0.0.1", podIP="127.0.0.1", conditions=[_condition("PodScheduled", True)])  # fmt: skip
        deadline = spec.get("activeDeadlineSeconds")
        try:
            async with asyncio.timeout(deadline):
                await self._run(pod, sandbox)
        except TimeoutError:
            self._fail(pod, "DeadlineExceeded", "Pod was active on the node longer than the specified deadline")
            sandbox.lives = None

    async def _run(self, pod: Object, sandbox: Sandbox) -> None:
        for container in pod["spec"].get("initContainers", []):
            image = self._images.get(container["image"])
            if image is None:
                self._tell(pod, initContainerStatuses=[_state(container, waiting={"reason": "ImagePullBackOff", "message": f"Back-off pulling image \"{container['image']}\""})])  # fmt: skip
                return
            if words := containers.command(image, container):
                process = await self._main(pod, container, words, sandbox)
                if await process.wait():
                    self._tell(pod, initContainerStatuses=[_state(container, waiting={"reason": "CrashLoopBackOff"})])
                    return
        mains = await asyncio.gather(
            *(self._contain(pod, container, sandbox) for container in pod["spec"]["containers"])
        )
        if pod["spec"].get("restartPolicy", "Always") != "Always" and all(code is not None for code in mains):
            self._tell(pod, phase="Failed" if any(mains) else "Succeeded")

    async def _contain(self, pod: Object, container: Object, sandbox: Sandbox) -> int | None:
        """One container, from its image to its end; its exit code, ``None`` for one that never ran or idles."""
        image = self._images.get(container["image"])
        if image is None:
            self._tell_of(pod, _state(container, waiting={"reason": "ImagePullBackOff", "message": f"Back-off pulling image \"{container['image']}\""}))  # fmt: skip
            return None
        try:
            containers.variables(self._store, image, pod, container)  # also for one that idles
            words = containers.command(image, container)
            process = await self._main(pod, container, words, sandbox) if words else None
        except ConfigError as error:
            self._tell_of(pod, _state(container, waiting={"reason": "CreateContainerConfigError", "message": str(error)}))  # fmt: skip
            return None
        except OSError as error:
            self._tell_of(pod, _state(container, waiting={"reason": "RunContainerError", "message": str(error)}))
            return None
        probe = container.get("readinessProbe", {}).get("exec", {}).get("command")
        self._tell_of(pod, _state(container, ready=probe is None, running={"startedAt": now()}))
        if probe is not None:
            self._background(self._probe(pod, container, probe))
        if process is None:
            return None
        code = await process.wait()
        ended = {"exitCode": code if code >= 0 else 128 - code, "reason": "Error" if code else "Completed", "finishedAt": now()}  # fmt: skip
        if pod["spec"].get("restartPolicy", "Always") == "Always":
            # Enough of a restart for those who look at it.
            self._tell_of(pod, _state(container, restarts=1, waiting={"reason": "CrashLoopBackOff"}, last={"terminated": ended}))  # fmt: skip
            return None
        self._tell_of(pod, _state(container, terminated=ended))
        return int(code)

    async def _probe(self, pod: Object, container: Object, words: Sequence[str]) -> None:
        while True:
            process = await self._spawn(pod, container, words, stdin=asyncio.subprocess.DEVNULL, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL)  # fmt: skip
            if await process.wait() == 0:
                self._tell_of(pod, _state(container, running={"startedAt": now()}))
                return
            await asyncio.sleep(_PROBE_EVERY_S)

    async def _main(
        self, pod: Object, container: Object, words: Sequence[str], sandbox: Sandbox
    ) -> asyncio.subprocess.Process:
        with (sandbox.folder / f"{container['name']}.log").open("ab") as log:
            return await self._spawn(pod, container, words, stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log)

    async def _spawn(
        self, pod: Object, container: Object, words: Sequence[str], **streams: Any
    ) -> asyncio.subprocess.Process:
        sandbox = self._sandboxes[pod["metadata"]["uid"]]
        image = self._images[container["image"]]
        found = containers.variables(self._store, image, self._current(pod) or pod, container)
        process = await asyncio.create_subprocess_exec(
            *(_ALONE if image.isolated else ()),
            *words,
            cwd=sandbox.folder,
            env=found,
            start_new_session=True,
            **streams,
        )
        sandbox.processes.append(process)
        return process

    async def _end_and_remove(self, pod: Object, grace_s: float) -> None:
        metadata = pod["metadata"]
        sandbox = self._sandboxes[metadata["uid"]]
        sandbox.end(signal.SIGTERM)
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(grace_s):
                await asyncio.gather(*(process.wait() for process in sandbox.alive()))
        sandbox.end(signal.SIGKILL)
        if sandbox.lives is not None:
            sandbox.lives.cancel()
        self._store.remove(kinds.POD, metadata["namespace"], metadata["name"])

    def _fail(self, pod: Object, reason: str, message: str) -> None:
        sandbox = self._sandboxes[pod["metadata"]["uid"]]
        if sandbox.lives is not None and sandbox.lives is not asyncio.current_task():
            sandbox.lives.cancel()
        sandbox.end(signal.SIGKILL)
        killed = {"exitCode": 137, "reason": "Error", "finishedAt": now()}
        self._tell(
            pod,
            phase="Failed",
            reason=reason,
            message=message,
            conditions=[],
            containerStatuses=[_state(each, terminated=killed) for each in pod["spec"]["containers"]],
        )

    # -- what is told of it

    def _current(self, pod: Object) -> Object | None:
        found = self._store.get(kinds.POD, pod["metadata"]["namespace"], pod["metadata"]["name"])
        return found if found is not None and found["metadata"]["uid"] == pod["metadata"]["uid"] else None

    def _tell(self, pod: Object, **status: Any) -> None:
        current = self._current(pod)
        if current is not None:
            current["status"] = {**current.get("status", {}), **status}
            self._store.put(current)
        # An init container that fails is told of without conditions.
        if len(status.get("containerStatuses", ())) == len(pod["spec"]["containers"]) or "conditions" not in status:
            self._sandboxes[pod["metadata"]["uid"]].settled.set()

    def _tell_of(self, pod: Object, state: Object) -> None:
        """How one container is, and what follows for its pod."""
        current = self._current(pod)
        if current is None:
            return
        there = {each["name"]: each for each in current.get("status", {}).get("containerStatuses", [])}
        there[state["name"]] = state
        names = [each["name"] for each in pod["spec"]["containers"]]
        listed = [there[name] for name in names if name in there]
        ready = len(listed) == len(names) and all(each["ready"] for each in listed)
        begun = len(listed) == len(names) and all("startedAt" in str(each) or "terminated" in str(each) for each in listed)  # fmt: skip
        phase = "Running" if begun else "Pending"
        conditions = [_condition(each, ready) for each in ("Ready", "ContainersReady")]
        kept = [_condition(each, True) for each in ("PodScheduled", "Initialized")]
        self._tell(pod, phase=phase, containerStatuses=listed, conditions=[*conditions, *kept])

    def _background(self, work: Any) -> asyncio.Task[None]:
        task: asyncio.Task[None] = asyncio.ensure_future(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)
        return task

    def _over(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        failure = None if task.cancelled() else task.exception()
        if failure is not None:
            self.failures.append(failure)


def _condition(kind: str, holds: bool, reason: str = "", message: str = "") -> Object:
    more = {name: value for name, value in (("reason", reason), ("message", message)) if value}
    return {"type": kind, "status": "True" if holds else "False", "lastTransitionTime": now(), **more}


def _state(
    container: Object, *, ready: bool | None = None, restarts: int = 0, last: Object | None = None, **state: Any
) -> Object:
    """A container's status; ``state`` is one of ``waiting``, ``running`` and ``terminated``."""
    return {
        "name": container["name"],
        "image": container["image"],
        "imageID": container["image"],
        "ready": "running" in state if ready is None else ready,
        "restartCount": restarts,
        "state": state,
        "lastState": last or {},
    }
