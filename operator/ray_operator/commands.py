"""The commands that end by themselves: their arguments in, one typed value out.

Owns: all commands but `run`, with their arguments. Does not own: `run` (`cli`), or carrying them
out (`chores`). Invariant: nothing is read from the environment.
"""

import argparse
from dataclasses import dataclass
from pathlib import Path

from ray_operator import features


@dataclass(frozen=True, slots=True, kw_only=True)
class Crds:
    """Write the CRDs into directories, or to standard output, or apply them to a cluster."""

    outputs: tuple[Path, ...] = ()
    is_applied: bool = False
    kubeconfig: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Validate:
    """Check manifests without a cluster."""

    files: tuple[Path, ...]
    feature_gates: features.Features


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Ask whether an installation works.

    Attributes:
        url: of the operator's metrics, through its Service.
        namespace: where a RayCluster is tried; empty means our own.
    """

    url: str
    namespace: str = ""
    kubeconfig: Path | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Retire:
    """Stop an operator for good.

    Attributes:
        deployment: its name; empty means that it is stopped already.
        namespace: where it is; empty means our own.
        watched: namespaces in which it worked; empty means all.
    """

    deployment: str = ""
    namespace: str = ""
    watched: tuple[str, ...] = ()
    kubeconfig: Path | None = None


Command = Crds | Validate | Check | Retire


def namespaces(text: str) -> tuple[str, ...]:
    """Read a comma-separated list."""
    return tuple(filter(None, map(str.strip, text.split(","))))


def gates(text: str) -> features.Features:
    """Read feature gates; raise what argparse tells of."""
    try:
        return features.parse(text)
    except ValueError as error:
        raise argparse.ArgumentTypeError(str(error)) from error


def add(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    """Add the commands to the parser's."""
    crds = commands.add_parser("crds", help="write or apply the CustomResourceDefinitions")
    where = crds.add_mutually_exclusive_group()
    where.add_argument("--output", type=Path, action="append", default=[], help="a directory")
    where.add_argument("--apply", action="store_true", help="apply them to a cluster, server-side")
    validate = commands.add_parser("validate", help="check manifests without a cluster")
    validate.add_argument("files", type=Path, nargs="+", metavar="FILE", help="YAML manifests")
    validate.add_argument("--feature-gates", type=gates, default=features.DEFAULT)
    check = commands.add_parser("check", help="ask whether an installation works")
    check.add_argument("--url", required=True, help="the operator's metrics, by its Service")
    check.add_argument("--namespace", default="", help="where a RayCluster is tried; ours")
    retire = commands.add_parser("retire", help="stop an operator, and remove its finalizers")
    retire.add_argument("--deployment", default="", help="its name; empty: it is stopped already")
    retire.add_argument("--namespace", default="", help="where it is; ours")
    retire.add_argument("--watch-namespace", type=namespaces, default=(), help="empty: all")
    for each in (crds, check, retire):
        each.add_argument("--kubeconfig", type=Path, help="instead of the Pod's service account")


def of(given: argparse.Namespace) -> Command | None:
    """Return the command that was given; None when it is another's."""
    if given.command == "crds":
        outputs, kubeconfig = tuple(given.output), given.kubeconfig
        return Crds(outputs=outputs, is_applied=given.apply, kubeconfig=kubeconfig)
    if given.command == "validate":
        return Validate(files=tuple(given.files), feature_gates=given.feature_gates)
    if given.command == "check":
        return Check(url=given.url, namespace=given.namespace, kubeconfig=given.kubeconfig)
    if given.command == "retire":
        return Retire(
            deployment=given.deployment,
            namespace=given.namespace,
            watched=given.watch_namespace,
            kubeconfig=given.kubeconfig,
        )
    return None
