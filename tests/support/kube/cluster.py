"""A cluster of one node: the API server on a loopback port, in a thread of its own, and what a test does to it."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, TypeVar

from aiohttp import web
from aiohttp.typedefs import Handler

from tests.support.kube import answers, discovery, kinds, resources
from tests.support.kube.access import Access, Attempt
from tests.support.kube.containers import Image
from tests.support.kube.controllers import Controllers
from tests.support.kube.execs import Cut, Execs
from tests.support.kube.kinds import Kind, Object
from tests.support.kube.kubelet import Kubelet
from tests.support.kube.port_forward import PortForward
from tests.support.kube.resources import Resources
from tests.support.kube.store import ObjectStore

_T = TypeVar("_T")
_REVIEWS = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_BODY_MAX = 64 << 20
#: Seconds; the machine may be busy.
_PATIENCE_S = 60


class Cluster:
    """What tests hold. ``kubeconfig`` is the file that leads here, ``images`` what its containers may be made of."""

    def __init__(self, folder: Path, images: Mapping[str, Image]) -> None:
        self.images: dict[str, Image] = dict(images)
        self.kubeconfig = folder / "kubeconfig"
        self.access = Access()
        #: The API server takes nobody for who he says he is.
        self.unauthorized = False
        #: The API server takes requests and does not answer.
        self.hangs = False
        self.requests: list[tuple[str, str]] = []
        self._loop = asyncio.new_event_loop()
        self._store = ObjectStore()
        self._kubelet = Kubelet(self._store, folder / "pods", self.images)
        self._controllers = Controllers(self._store, self._kubelet.delete)
        self._execs = Execs(self._store, self._kubelet)
        self._port_forward = PortForward(self._store)
        self._stopping = asyncio.Event()
        self._runner: web.AppRunner | None = None

    # -- what a test asks for

    def put(self, *things: Object) -> None:
        """Create or replace objects, and the namespaces that they are in; pods are up, or known not to be, afterwards."""

        async def all_of_them() -> None:
            for thing in things:
                namespace = thing["metadata"].get("namespace", "default")
                if kinds.of(thing).namespaced and self._store.get(kinds.NAMESPACE, "", namespace) is None:
                    self._store.put({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": namespace}})
                stored = self._store.put(thing)
                if kinds.of(stored) == kinds.POD:
                    await self._kubelet.settled(stored)

        self._do(all_of_them())

    def get(self, kind: Kind, namespace: str, name: str) -> Object | None:
        """An object as it is now."""
        return self._ask(lambda: self._store.get(kind, namespace, name))

    def all(self, kind: Kind, namespace: str | None = None) -> list[Object]:
        """The objects of a kind."""
        return self._ask(lambda: self._store.all(kind, namespace))

    def wait_for(self, word: str, *names: str, namespace: str = "airflow") -> None:
        """Wait until the status of each of these pods has this word, such as ``CrashLoopBackOff``."""
        deadline = time.monotonic() + _PATIENCE_S
        for name in names:
            while word not in json.dumps((self.get(kinds.POD, namespace, name) or {}).get("status", {})):
                assert time.monotonic() < deadline, f"{name} does not become {word}"
                time.sleep(0.02)

    def evict(self, namespace: str, name: str) -> None:
        """A node under pressure ends this pod."""
        self._ask(lambda: self._kubelet.evict(namespace, name))

    def processes(self, namespace: str, name: str) -> list[int]:
        """The process ids of what lives in a pod."""
        return [process.pid for process in self._ask(lambda: self._kubelet.processes(namespace, name))]

    def hold_rollouts(self, held: bool = True) -> None:
        """From now on no workload gets on with its pods, or does again."""

        def hold() -> None:
            self._controllers.held = held
            self._controllers.look_soon()

        self._ask(hold)

    def cut_next_exec(self, after: int) -> Cut:
        """The connection of the next exec breaks after this many bytes."""
        cut = Cut(after)
        self._ask(lambda: self._execs.cuts.append(cut))
        return cut

    @property
    def execs(self) -> list[tuple[str, str, tuple[str, ...]]]:
        """What was exec'd: pod, container, command."""
        return self._ask(lambda: list(self._execs.ran))

    def cut_forwards(self) -> int:
        """Every connection of a port-forward breaks; how many there were."""
        return self._ask(self._port_forward.cut)

    @property
    def forwards(self) -> list[str]:
        """The pods to which a port was forwarded, each time that it was."""
        return self._ask(lambda: list(self._port_forward.led_to))

    # -- the server

    def start(self) -> None:
        """Begin to listen, and write the kubeconfig."""
        threading.Thread(target=self._loop.run_forever, name="kube-apiserver", daemon=True).start()
        self.kubeconfig.parent.mkdir(parents=True, exist_ok=True)
        self.kubeconfig.write_text(json.dumps(_kubeconfig(self._do(self._listen()))))

    def stop(self) -> None:
        """End every pod, and the server. Raises what went wrong in the kubelet itself."""
        self._do(self._end())
        self._loop.call_soon_threadsafe(self._loop.stop)
        for failure in self._kubelet.failures:
            raise failure

    async def _listen(self) -> str:
        application = web.Application(middlewares=[self._guard], client_max_size=_BODY_MAX)
        discovery.add_routes(application.router)
        application.router.add_post(_REVIEWS, self._review)
        self._execs.add_routes(application.router)
        self._port_forward.add_routes(application.router)
        Resources(self._store, self._kubelet.delete).add_routes(application.router)
        self._runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await self._runner.setup()
        await web.TCPSite(self._runner, "127.0.0.1", 0).start()
        host, port = self._runner.addresses[0][:2]
        return f"http://{host}:{port}"

    async def _end(self) -> None:
        self._stopping.set()
        self._controllers.held = True
        await self._kubelet.stop()
        if self._runner is not None:
            await self._runner.cleanup()

    @web.middleware
    async def _guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        self.requests.append((request.method, request.path_qs))
        if self.hangs:
            await self._stopping.wait()
        if self.unauthorized:
            return answers.failure(401, "Unauthorized", "Unauthorized")
        attempt = resources.attempt_of(request)
        # Whoever may not create an exec may not get one either, whichever way kubectl takes (Kubernetes 1.35).
        attempts = [attempt, Attempt("create", *_rest(attempt))] if attempt and attempt.resource == "pods/exec" else [attempt]  # fmt: skip
        for each in attempts:
            if each is not None and not self.access.allows(each):
                return answers.failure(403, "Forbidden", each.refusal())
        return await handler(request)

    async def _review(self, request: web.Request) -> web.StreamResponse:
        review = await resources.body_of(request)
        wanted = review["spec"]["resourceAttributes"]
        resource = "/".join(filter(None, (wanted.get("resource", ""), wanted.get("subresource", ""))))
        attempt = Attempt(wanted["verb"], wanted.get("group", ""), resource, wanted.get("namespace", ""))
        review["status"] = {"allowed": self.access.allows(attempt)}
        return web.json_response(review, status=201)

    def _do(self, work: Coroutine[Any, Any, _T]) -> _T:
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=_PATIENCE_S)

    def _ask(self, question: Callable[[], _T]) -> _T:
        async def asked() -> _T:
            return question()

        return self._do(asked())


@contextmanager
def running(folder: Path, images: Mapping[str, Image]) -> Iterator[Cluster]:
    """A cluster with these images, for as long as the block lasts."""
    cluster = Cluster(folder, images)
    cluster.start()
    try:
        yield cluster
    finally:
        cluster.stop()


def _rest(attempt: Attempt) -> tuple[str, str, str, str]:
    return attempt.group, attempt.resource, attempt.namespace, attempt.name


def _kubeconfig(server: str) -> Object:
    return {
        "apiVersion": "v1",
        "kind": "Config",
        "clusters": [{"name": "fake", "cluster": {"server": server}}],
        "users": [{"name": "ops", "user": {}}],
        "contexts": [{"name": "fake", "context": {"cluster": "fake", "user": "ops", "namespace": "default"}}],
        "current-context": "fake",
    }
