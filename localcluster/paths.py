"""Where the launcher keeps its files.

Owns the folder layout, creates nothing. Invariant: everything lies beneath one cache folder
outside the source tree, so deleting that folder (after `down`) forgets the cluster entirely.
"""

import dataclasses
import hashlib
import os
import pathlib

PACKAGE = pathlib.Path(__file__).resolve().parent
REPOSITORY = PACKAGE.parent
DEFAULT_CLUSTER = "ray"


def cache() -> pathlib.Path:
    """Locate the cache folder: `$XDG_CACHE_HOME/ray-operator-localcluster`."""
    base = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return pathlib.Path(base).absolute() / "ray-operator-localcluster"


@dataclasses.dataclass(frozen=True)
class Cluster:
    """Locate the files of one cluster.

    `run` lives from `up` to `down`; `containerd` and `loaded` outlive both, because they hold the
    images that were already imported.
    """

    name: str

    @property
    def base(self) -> pathlib.Path:
        """Folder of this cluster."""
        return cache() / "clusters" / self.name

    @property
    def control_group(self) -> str:
        """Name of the top-level control group: another one for each cache folder and name."""
        digest = hashlib.sha256(os.fsencode(self.base)).hexdigest()
        return f"ray-operator-localcluster-{self.name}-{digest[:8]}"

    @property
    def run(self) -> pathlib.Path:
        """Folder of all state that `down` forgets."""
        return self.base / "run"

    @property
    def log(self) -> pathlib.Path:
        """Folder of the components' logs."""
        return self.run / "log"

    @property
    def pki(self) -> pathlib.Path:
        """Folder of keys and certificates."""
        return self.run / "pki"

    @property
    def config(self) -> pathlib.Path:
        """Folder of the rendered component configurations."""
        return self.run / "config"

    @property
    def kubeconfig(self) -> pathlib.Path:
        """The administrator's kubeconfig, for use on the host."""
        return self.run / "kubeconfig"

    @property
    def audit_log(self) -> pathlib.Path:
        """The API server's audit log, one JSON event a line."""
        return self.run / "audit" / "audit.log"

    @property
    def components_state(self) -> pathlib.Path:
        """JSON that the init process inside the cluster keeps up to date."""
        return self.run / "components.json"

    @property
    def supervisor_lock(self) -> pathlib.Path:
        """Locked exactly as long as any process of the cluster's supervision lives."""
        return self.base / "supervisor.lock"

    @property
    def supervisor_record(self) -> pathlib.Path:
        """JSON record of the supervision's processes."""
        return self.base / "supervisor.json"

    @property
    def command_lock(self) -> pathlib.Path:
        """Locked while a command changes the cluster."""
        return self.base / "command.lock"

    def containerd_root(self, node: str) -> pathlib.Path:
        """Folder of a node's images and layers."""
        return self.base / "containerd" / node

    def loaded_record(self, node: str) -> pathlib.Path:
        """JSON record of the images imported into a node."""
        return self.base / "loaded" / f"{node}.json"

    def kubelet_root(self, node: str) -> pathlib.Path:
        """Folder of a node's volumes and Pod state."""
        return self.run / "kubelet" / node

    def pod_logs(self, node: str) -> pathlib.Path:
        """Folder of a node's container logs."""
        return self.run / "pods" / node

    def cni_config(self, node: str) -> pathlib.Path:
        """Folder of a node's network configuration."""
        return self.config / "cni" / node
