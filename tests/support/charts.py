"""Charts and kustomizations as they are rendered, without a cluster.

Owns: running Helm and `kubectl kustomize`, and finding objects in what they print. Does not own:
the programs (`programs`). Invariant: values are given as a file, as users do, so that the schema
sees them as they are.
"""

import json
import subprocess
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import yaml

Json = dict[str, Any]
ROOT = Path(__file__).parents[2]
CLUSTER_SCOPED = {
    "ClusterRole",
    "ClusterRoleBinding",
    "CustomResourceDefinition",
    "Namespace",
    "ValidatingWebhookConfiguration",
}
EVERYTHING: dict[str, Any] = {
    "replicas": 2,
    "podDisruptionBudget": {"maxUnavailable": 1},
    "networkPolicy": {"enabled": True},
    "webhook": {"enabled": True},
    "crds": {"install": True, "upgrade": True},
    "configuration": {"enabled": True},
    "logging": {"baseDir": "/logs", "fileName": "a.log"},
    "metrics": {"serviceMonitor": {"enabled": True}, "dashboard": {"enabled": True}},
}
"""Values that add all that is optional."""


class Refused(Exception):
    """Helm doesn't render the chart; the message is its own."""


class Name(NamedTuple):
    """What an object is called; `hook` is empty where Helm keeps it in the release."""

    kind: str
    name: str
    namespace: str = ""
    hook: str = ""


class Rendered(list[Json]):
    """The objects that were rendered."""

    def names(self) -> set[Name]:
        """Return what there is."""
        return {name(each) for each in self}

    def all(self, kind: str) -> list[Json]:
        """Return the objects of a kind."""
        return [each for each in self if each["kind"] == kind]

    def one(self, kind: str, called: str = "") -> Json:
        """Return the only object of a kind, or the one of that name."""
        (found,) = [each for each in self.all(kind) if called in {"", each["metadata"]["name"]}]
        return found

    def pods(self) -> Iterator[Json]:
        """Yield metadata and spec of all Pods that would be made."""
        for each in self:
            if each["kind"] == "Pod":
                yield each
            elif each["kind"] in {"Deployment", "Job"}:
                yield each["spec"]["template"]


def name(of: Json) -> Name:
    """Return what an object is called."""
    metadata = of["metadata"]
    hook = (metadata.get("annotations") or {}).get("helm.sh/hook", "")
    return Name(of["kind"], metadata["name"], metadata.get("namespace", ""), hook)


class Helm:
    """Renders one chart."""

    def __init__(self, programs: Path, chart: Path) -> None:
        self._program = programs / "helm"
        self.chart = chart

    def render(
        self,
        values: Json | None = None,
        *,
        release: str = "kuberay-operator",
        namespace: str = "ray-system",
        flags: Iterable[str] = (),
    ) -> Rendered:
        """Render the chart; raise Refused when Helm doesn't."""
        where = (release, str(self.chart), "--namespace", namespace)
        text = self.run("template", *where, "-f", "-", *flags, stdin=json.dumps(values or {}))
        return Rendered(each for each in yaml.load_all(text, yaml.CSafeLoader) if each)

    def run(self, *arguments: str, stdin: str = "") -> str:
        """Run Helm; return what it prints, or raise Refused."""
        command = [str(self._program), *arguments]
        done = subprocess.run(command, input=stdin, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Refused(done.stderr)
        return done.stdout


def kustomized(programs: Path, folder: Path) -> Rendered:
    """Build a kustomization."""
    command = [str(programs / "kubectl"), "kustomize", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return Rendered(yaml.load_all(done.stdout, yaml.CSafeLoader))


def loaded(path: Path) -> Rendered:
    """Read a file of manifests."""
    return Rendered(yaml.load_all(path.read_text(), yaml.CSafeLoader))


def leaves(node: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Yield all paths and values of an object; lists are values, as a whole."""
    if isinstance(node, dict) and node:
        for key, each in node.items():
            yield from leaves(each, (*path, key))
    else:
        yield path, node
