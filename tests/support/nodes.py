"""Signals to processes in Pods, as a failing node or an administrator would send them.

They come from a privileged Pod in the node's own PID namespace: from inside a container, the
kernel shields process 1 from SIGSTOP and SIGKILL.
"""

from typing import Any

from tests.support import cluster as clusters

AGENT = "node-agent"
_SCRIPT = """
import os, pathlib, signal, sys
uid, number = sys.argv[1], getattr(signal, sys.argv[2])
hit = 0
for folder in pathlib.Path("/proc").iterdir():
    if not folder.name.isdigit():
        continue
    try:
        groups = (folder / "cgroup").read_text()
        command = (folder / "cmdline").read_text()
    except OSError:
        continue
    if uid in groups.replace("_", "-") and "ray-operator" in command:
        os.kill(int(folder.name), number)
        hit += 1
sys.exit(0 if hit else "no such process")
"""

SILENCE = """
import os, pathlib, signal, sys, time
node, seconds = sys.argv[1], int(sys.argv[2])

def is_kubelet(folder):
    try:
        words = (folder / "cmdline").read_bytes().decode().split(chr(0))
    except OSError:
        return False
    named = f"--hostname-override={node}" in words or "--hostname-override" not in " ".join(words)
    return words[0].endswith("kubelet") and named

found = [int(each.name) for each in pathlib.Path("/proc").iterdir()
         if each.name.isdigit() and is_kubelet(each)]
if len(found) != 1:
    sys.exit(f"{len(found)} kubelets of {node}")
if os.fork() == 0:
    os.setsid()
    for stream in range(3):
        os.close(stream)
    time.sleep(1)
    os.kill(found[0], signal.SIGSTOP)
    time.sleep(seconds)
    os.kill(found[0], signal.SIGCONT)
"""
"""A program for an `agent`: stop the kubelet of a node for some seconds, from afar."""


def agent(node: str, image: str) -> dict[str, Any]:
    """Return a Pod on that node from which processes of other Pods can be signalled."""
    container = {
        "name": "agent",
        "image": image,
        "command": ["sleep", "infinity"],
        "securityContext": {"privileged": True, "runAsUser": 0},
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": f"{AGENT}-{node}", "labels": {"app": AGENT}},
        "spec": {
            "nodeName": node,
            "hostPID": True,
            "terminationGracePeriodSeconds": 0,
            "containers": [container],
        },
    }


def send(cluster: clusters.Cluster, *, signal: str, pod: dict[str, Any], agents: str) -> None:
    """Send `SIGSTOP`, `SIGCONT` or `SIGKILL` to the operator's processes in a Pod.

    `agents` is the namespace in which an `agent` runs on the Pod's node.
    """
    name = f"{AGENT}-{pod['spec']['nodeName']}"
    uid = pod["metadata"]["uid"]
    cluster.kubectl("-n", agents, "exec", name, "--", "python", "-c", _SCRIPT, uid, signal)
