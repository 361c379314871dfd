"""The programs of the local cluster, without the cluster: helm, kubectl, kube-apiserver, etcd.

Owns: having them built. Does not own: how (`localcluster.toolchain`). Invariant: what is cached is
taken as it is; else the first call takes minutes.
"""

import subprocess
import sys
from pathlib import Path

ROOT = Path(__file__).parents[2]


def built(*names: str) -> Path:
    """Return the folder of the programs; `names` are the local cluster's."""
    command = [sys.executable, "-m", "localcluster", "build", *names]
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return Path(done.stdout.strip().splitlines()[-1])
