"""The choice between the providers.

Owns what every provider can do, and which one serves. Invariant: the choice depends only on the
request, or else on whether a Docker engine answers.
"""

import os
import pathlib
import typing

from localcluster import commands, errors, kind, native, paths


class Provider(typing.Protocol):
    """What the commands need of a provider."""

    name: str

    @property
    def kubeconfig(self) -> pathlib.Path:
        """The administrator's kubeconfig."""

    @property
    def audit_log(self) -> pathlib.Path:
        """The API server's audit log."""

    @property
    def tools(self) -> pathlib.Path | None:
        """The folder with kubectl and helm; None when PATH has them."""

    def up(self, *, bare: bool) -> None:
        """Have the cluster run with all images loaded, or with only its own when `bare`."""

    def down(self) -> None:
        """Have nothing of the cluster left."""

    def images(self, only: str | None) -> None:
        """Have a group of images (None: all) loaded as the sources are now."""

    def status(self) -> bool:
        """Print the state; True when everything is ready."""


def choose(requested: str | None, cluster: paths.Cluster) -> Provider:
    """Pick `requested` (or LOCALCLUSTER_PROVIDER), else kind with a Docker engine, else native."""
    wanted = requested or os.environ.get("LOCALCLUSTER_PROVIDER") or _detected()
    if wanted == "kind":
        return kind.Kind(cluster)
    if wanted == "native":
        return native.Native(cluster)
    raise errors.LocalClusterError(f"no such provider: {wanted} (there are: native, kind)")


def _detected() -> str:
    return "kind" if commands.succeeds("docker", "info") else "native"
