"""A real cluster under test: commands as users type them, and waits that explain themselves.

Owns: kubectl, Helm, reading objects as JSON, waiting. Does not own: the cluster's life (that is
`localcluster`'s, or the user's own). Invariant: nothing sleeps for a fixed time; a wait polls until
its deadline and then shows what there is.
"""

import json
import os
import re
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

import kubernetes.client
import kubernetes.config
import urllib3.exceptions

Json = dict[str, Any]
T = TypeVar("T")

POLL_SECONDS = 0.5
API = {
    "deployments": "/apis/apps/v1",
    "endpointslices": "/apis/discovery.k8s.io/v1",
    "events": "/api/v1",
    "ingresses": "/apis/networking.k8s.io/v1",
    "jobs": "/apis/batch/v1",
    "leases": "/apis/coordination.k8s.io/v1",
    "namespaces": "/api/v1",
    "nodes": "/api/v1",
    "persistentvolumeclaims": "/api/v1",
    "pods": "/api/v1",
    "rayclusters": "/apis/ray.io/v1",
    "raycronjobs": "/apis/ray.io/v1",
    "rayjobs": "/apis/ray.io/v1",
    "rayservices": "/apis/ray.io/v1",
    "rolebindings": "/apis/rbac.authorization.k8s.io/v1",
    "roles": "/apis/rbac.authorization.k8s.io/v1",
    "routes": "/apis/route.openshift.io/v1",
    "secrets": "/api/v1",
    "serviceaccounts": "/api/v1",
    "services": "/api/v1",
}
OPERATOR_PODS = "app.kubernetes.io/component=kuberay-operator"


class CommandFailed(AssertionError):
    """A command ended with another code than 0; the message holds its output."""


class TimedOut(AssertionError):
    """What was waited for did not come; the message holds the state of things."""


class Cluster:
    """One cluster, reached as its administrator."""

    def __init__(self, kubeconfig: Path, *, programs: Path | None = None) -> None:
        """`programs` is the folder of kubectl and helm; None means they are on the PATH."""
        path = os.environ["PATH"]
        self.kubeconfig = kubeconfig
        self.path = f"{programs}:{path}" if programs else path
        self._environment = {
            **os.environ,
            "KUBECONFIG": str(kubeconfig),
            "PATH": self.path,
        }
        connect = kubernetes.config.new_client_from_config
        self._api: kubernetes.client.ApiClient = connect(str(kubeconfig))  # type: ignore[no-untyped-call]

    def run(self, *command: str, stdin: str = "", within: timedelta = timedelta(minutes=2)) -> str:
        """Run a command against this cluster; return its standard output.

        Raises:
            CommandFailed: it failed, or took longer than `within`.
        """
        shown = " ".join(command)
        try:
            done = subprocess.run(
                command,
                input=stdin,
                env=self._environment,
                capture_output=True,
                text=True,
                timeout=within.total_seconds(),
                check=False,
            )
        except subprocess.TimeoutExpired as late:
            raise CommandFailed(f"{shown}: not done within {within}") from late
        if done.returncode != 0:
            output = f"{done.stdout}\n{done.stderr}"
            raise CommandFailed(f"{shown}: exit {done.returncode}\n{output}")
        return done.stdout

    def kubectl(
        self, *arguments: str, stdin: str = "", within: timedelta = timedelta(minutes=2)
    ) -> str:
        """Run kubectl; return its standard output."""
        return self.run("kubectl", *arguments, stdin=stdin, within=within)

    @contextmanager
    def forwarded(self, namespace: str, pod: str, port: int) -> Iterator[int]:
        """Make a Pod's port reachable from here; give the port at which, on 127.0.0.1.

        Raises:
            CommandFailed: it didn't come to that.
        """
        command = ["kubectl", "-n", namespace, "port-forward", f"pod/{pod}", f":{port}"]
        with subprocess.Popen(
            command, env=self._environment, stdout=subprocess.PIPE, text=True
        ) as process:
            try:
                assert process.stdout is not None
                said = process.stdout.readline()
                found = re.search(r"127\.0\.0\.1:(\d+) ->", said)
                if found is None:
                    raise CommandFailed(f"{' '.join(command)}: {said!r}")
                yield int(found[1])
            finally:
                process.terminate()

    def helm(self, *arguments: str) -> str:
        """Run Helm; return its standard output."""
        return self.run("helm", *arguments)

    def apply(self, manifest: Json | Path, namespace: str) -> None:
        """Apply an object, or a file of them, as users do: client-side."""
        if isinstance(manifest, Path):
            self.kubectl("-n", namespace, "apply", "-f", str(manifest))
        else:
            self.kubectl("-n", namespace, "apply", "-f", "-", stdin=json.dumps(manifest))

    def patch(
        self,
        resource: str,
        namespace: str,
        name: str,
        change: Json | list[Json],
        *,
        subresource: str = "",
    ) -> None:
        """Change an object by a merge patch, or by a JSON patch when it is a list."""
        kind = "json" if isinstance(change, list) else "merge"
        flags = (f"--type={kind}", "-p", json.dumps(change))
        part = (f"--subresource={subresource}",) if subresource else ()
        self.kubectl("-n", namespace, "patch", resource, name, *flags, *part)

    def delete(self, resource: str, namespace: str, name: str) -> None:
        """Ask for an object's deletion, without waiting for its end."""
        self.kubectl("-n", namespace, "delete", resource, name, "--wait=false")

    def get(self, resource: str, namespace: str, name: str) -> Json | None:
        """Return an object, None when it does not exist."""
        return self._read(f"{API[resource]}/namespaces/{namespace}/{resource}/{name}", {})

    def list(self, resource: str, namespace: str | None, *, labels: str = "") -> list[Json]:
        """Return the objects of a namespace, or of the whole cluster, that a selector selects."""
        scope = f"/namespaces/{namespace}" if namespace else ""
        found = self._read(f"{API[resource]}{scope}/{resource}", {"labelSelector": labels})
        return list(found["items"]) if found else []

    def _read(self, path: str, query: Mapping[str, str]) -> Json | None:
        request = self._api.param_serialize(
            "GET",
            path,
            query_params=list(query.items()),
            header_params={"Accept": "application/json"},
            auth_settings=["BearerToken"],
        )
        try:
            response = self._api.call_api(*request, _request_timeout=30)
            body: bytes = response.read()  # type: ignore[no-untyped-call]
        except urllib3.exceptions.HTTPError as error:
            raise CommandFailed(f"GET {path}: {error}") from error
        if response.status == 404:
            return None
        if response.status != 200:
            raise CommandFailed(f"GET {path}: {response.status} {body!r}")
        found: Json = json.loads(body)
        return found

    def send(
        self, method: str, path: str, body: Json, *, manager: str = "tests", form: str = "json"
    ) -> Json:
        """Create an object, or change one by a merge patch, as that field manager.

        `form` is the content type less `application/`. Far quicker than kubectl.

        Raises:
            CommandFailed: the API server refuses.
        """
        request = self._api.param_serialize(
            method,
            path,
            query_params=[("fieldManager", manager)],
            header_params={"Accept": "application/json", "Content-Type": f"application/{form}"},
            body=body,
            auth_settings=["BearerToken"],
        )
        response = self._api.call_api(*request, _request_timeout=30)
        answer: Json = json.loads(response.read())  # type: ignore[no-untyped-call]
        if response.status >= 300:
            raise CommandFailed(f"{method} {path}: {response.status} {answer['message']}")
        return answer

    def dry_run(
        self, manifest: Json, *, namespace: str, old: Json | None = None, subresource: str = ""
    ) -> str:
        """Ask whether one of our objects would be made, or `old` changed so; return the refusal.

        The empty text means that it would. Unknown fields are refused too.
        """
        plural = f"{manifest['kind'].lower()}s"
        path = f"/apis/{manifest['apiVersion']}/namespaces/{namespace}/{plural}"
        path = f"{path}/{manifest['metadata']['name']}" if old else path
        path = f"{path}/{subresource}" if subresource else path
        status, answer = self._dry_run("PUT" if old else "POST", path, manifest)
        return "" if status < 300 else str(answer["message"])

    def dry_run_answer(self, path: str, manifest: Json) -> Json:
        """Return the object as a creation at that path would store it.

        Raises:
            CommandFailed: it would not be made.
        """
        status, answer = self._dry_run("POST", path, manifest)
        if status >= 300:
            raise CommandFailed(f"POST {path}: {status} {answer['message']}")
        return answer

    def _dry_run(self, method: str, path: str, manifest: Json) -> tuple[int, Json]:
        request = self._api.param_serialize(
            method,
            path,
            query_params=[("dryRun", "All"), ("fieldValidation", "Strict")],
            header_params={"Accept": "application/json", "Content-Type": "application/json"},
            body=manifest,
            auth_settings=["BearerToken"],
        )
        response = self._api.call_api(*request, _request_timeout=30)
        answer: Json = json.loads(response.read())  # type: ignore[no-untyped-call]
        return response.status, answer

    def wait(
        self,
        predicate: Callable[[], T | None],
        *,
        within: timedelta,
        what: str,
        namespace: str,
        poll_seconds: float = POLL_SECONDS,
    ) -> T:
        """Return the predicate's first true answer. A command that fails in it is no answer.

        Raises:
            TimedOut: there was none `within` that time. The message shows the namespace's objects
                and events, and the operators' logs.
        """
        deadline = time.monotonic() + within.total_seconds()
        while True:
            last: T | CommandFailed | None
            try:
                last = predicate()
                if last:
                    return last
            except CommandFailed as failed:
                last = failed
            if time.monotonic() > deadline:
                state = self.describe(namespace)
                raise TimedOut(f"after {within}: not {what} (last: {last})\n{state}")
            time.sleep(poll_seconds)

    def describe(self, namespace: str) -> str:
        """Tell the state of a namespace and the end of every operator's log."""
        parts = [
            self._try("-n", namespace, "get", "rayclusters", "-o", "yaml"),
            self._try("-n", namespace, "get", "pods,services", "-o", "wide"),
            self._try("-n", namespace, "describe", "pods"),
            self._try("-n", namespace, "get", "events", "--sort-by=.metadata.creationTimestamp"),
        ]
        for pod in self.list("pods", None, labels=OPERATOR_PODS):
            meta = pod["metadata"]
            where = ("-n", meta["namespace"], "logs", meta["name"], "--tail=100")
            parts += [self._try(*where), self._try(*where, "--previous")]
        return "\n".join(parts)

    def _try(self, *arguments: str) -> str:
        """Run kubectl for a report: a failure is told instead of raised."""
        try:
            output = self.kubectl(*arguments, within=timedelta(seconds=20))
        except CommandFailed as failed:
            output = str(failed)
        return f"$ kubectl {' '.join(arguments)}\n{output}"
