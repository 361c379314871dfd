"""The world that the cluster's processes see: root folder, mounts, network.

Owns what is set up inside fresh mount, network, PID, IPC and UTS namespaces before the first
component starts. Deliberately starts no component. Invariant: nothing done here is visible outside
these namespaces, and all of it ends with them; /usr and /etc of the host are read-only inside,
/var, /run and /tmp are the cluster's own.
"""

import ctypes
import os
import pathlib
import subprocess
import sys

from localcluster import paths, topology

_OWN = {"var", "run", "tmp", "mnt", "media", "srv", "boot", "lost+found"}
_READ_ONLY = {"usr", "etc", "bin", "sbin", "lib", "lib64"}
_OWN_FOLDERS = ("var/lib/kubelet", "var/lib/cni", "var/log", "var/tmp")
_STAGE = pathlib.Path("/mnt")

# What a kubelet insists on. It finds these values instead of writing the host's own.
_KERNEL_TUNABLES = {
    "vm/overcommit_memory": "1",
    "vm/panic_on_oom": "0",
    "kernel/panic": "10",
    "kernel/panic_on_oops": "1",
    "kernel/keys/root_maxkeys": "1000000",
    "kernel/keys/root_maxbytes": "25000000",
}
_NFT_RULES = f"""
table ip outside {{
  chain leave {{
    type nat hook postrouting priority 100;
    oifname "{topology.OUTSIDE_LINK}" masquerade
  }}
}}
"""
_LIBC = ctypes.CDLL(None, use_errno=True)


def enter_root(cluster: paths.Cluster) -> None:
    """Make a root folder of the host's programs and the cluster's own /var, /run and /tmp."""
    _run("mount", "--make-rprivate", "/")
    disk = cluster.run / "root"
    disk.mkdir(parents=True, exist_ok=True)
    # Staged on a mount point that no recursive bind below can contain.
    _run("mount", "--bind", str(disk), str(_STAGE))
    for entry in sorted(pathlib.Path("/").iterdir()):
        _project(entry, _STAGE / entry.name)
    for folder in _OWN_FOLDERS:
        (_STAGE / folder).mkdir(parents=True, exist_ok=True)
    (_STAGE / "tmp").chmod(0o1777)
    _run("mount", "-t", "tmpfs", "-o", "mode=755", "tmpfs", str(_STAGE / "run"))
    if not (_STAGE / "var/run").is_symlink():
        (_STAGE / "var/run").symlink_to("/run")
    for needed in (paths.cache(), paths.REPOSITORY, pathlib.Path(sys.base_prefix)):
        if needed.parts[1] in _OWN:
            _bind(needed, _STAGE / needed.relative_to("/"))
    _pivot_root(_STAGE, _STAGE / "mnt")
    os.chdir("/")
    _run("umount", "--lazy", "/mnt")
    _run("mount", "--make-rshared", "/")
    _pin_resolver(cluster)
    _pin_tunables()


def _project(entry: pathlib.Path, target: pathlib.Path) -> None:
    """Show a top-level entry of the host at `target`."""
    if entry.is_symlink():
        if not target.is_symlink():
            target.symlink_to(os.readlink(entry))
    elif entry.is_dir():
        target.mkdir(exist_ok=True)
        if entry.name not in _OWN:
            _bind(entry, target)
            if entry.name in _READ_ONLY:
                _run("mount", "-o", "remount,bind,ro", str(target))


def _bind(source: pathlib.Path, target: pathlib.Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    _run("mount", "--rbind", str(source), str(target))


def _pivot_root(root: pathlib.Path, old: pathlib.Path) -> None:
    number = {"x86_64": 155, "aarch64": 41}[os.uname().machine]
    if _LIBC.syscall(number, os.fsencode(root), os.fsencode(old)) != 0:
        code = ctypes.get_errno()
        raise OSError(code, f"pivot_root: {os.strerror(code)}", str(root))


def _pin_resolver(cluster: paths.Cluster) -> None:
    """Name the resolver that answers inside; the host's own may be a loopback address."""
    ours = cluster.config / "resolv.conf"
    shown = pathlib.Path(os.path.realpath("/etc/resolv.conf"))
    if shown.exists():
        _run("mount", "--bind", str(ours), str(shown))
    elif shown.is_relative_to("/run"):
        shown.parent.mkdir(parents=True, exist_ok=True)
        shown.write_text(ours.read_text())


def _pin_tunables() -> None:
    for name, value in _KERNEL_TUNABLES.items():
        pinned = pathlib.Path("/run/tunables") / name
        real = pathlib.Path("/proc/sys") / name
        if real.exists() and real.read_text().strip() != value:
            pinned.parent.mkdir(parents=True, exist_ok=True)
            pinned.write_text(value + "\n")
            _run("mount", "--bind", str(pinned), str(real))


def set_up_network(nodes: tuple[topology.Node, ...]) -> None:
    """Give every node its address, route between Pods, and masquerade what leaves.

    Packets to a Pod that is gone don't: outside somebody might answer in its place.
    """
    _run("ip", "link", "set", "lo", "up")
    for address in (topology.API_ADDRESS, *(node.address for node in nodes)):
        _run("ip", "address", "add", f"{address}/32", "dev", "lo")
    pathlib.Path("/proc/sys/net/ipv4/ip_forward").write_text("1")
    _run("ip", "route", "add", "unreachable", topology.POD_CIDR)
    _run("nft", _NFT_RULES)


def _run(*argv: str) -> None:
    subprocess.run(argv, check=True, stdin=subprocess.DEVNULL)
