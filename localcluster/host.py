"""What the launcher needs of the machine.

Owns the checks before a start and the Debian packages. Deliberately changes nothing else on the
host: no service is started or enabled by an installation. Invariant: after `prepare` every program
that the native provider calls is installed, or the user was told which is not and why.
"""

import os
import pathlib
import shutil
import subprocess

from localcluster import commands, errors, paths, progress

# Package -> a program, or a file, that shows it is there (from this or another package).
PACKAGES = {
    "containerd": "containerd",
    "runc": "runc",
    "containernetworking-plugins": "/usr/lib/cni/ptp",
    "buildah": "buildah",
    "debootstrap": "debootstrap",
    "slirp4netns": "slirp4netns",
    "socat": "socat",
    "conntrack": "conntrack",
    "iptables": "iptables",
    "nftables": "nft",
    "iproute2": "ip",
    "mount": "mount",
    "util-linux": "setpriv",
}
_SYSTEM_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_GIB = 1024**3
COLD_DISK_BYTES = 15 * _GIB
WARM_DISK_BYTES = 3 * _GIB

# A package's installation must neither start nor enable its service. In a mount namespace of its
# own, apt sees these programs replaced by `true`; the host doesn't.
_QUIET = """
for program in /usr/bin/deb-systemd-helper /usr/bin/deb-systemd-invoke; do
  [ -e "$program" ] && mount --bind /bin/true "$program"
done
exec "$@"
"""


def prepare() -> None:
    """Check privileges and disk, and install what is missing.

    Raises:
        errors.LocalClusterError: the machine can't run the native provider; says why.
    """
    require_root()
    require_disk()
    install(missing())


def complete_path() -> None:
    """Let programs of the administrator be found, whatever shell the command came from."""
    os.environ["PATH"] = f"{os.environ.get('PATH', '')}:{_SYSTEM_PATH}"


def require_root() -> None:
    """Refuse to go on as anyone but root."""
    if os.geteuid() != 0:
        raise errors.LocalClusterError(
            "the native provider must run as root (namespaces, mounts, control groups): "
            "run it with sudo, or start a Docker engine to have kind used instead"
        )


def require_disk() -> None:
    """Refuse to begin what the disk can't hold."""
    folder = paths.cache()
    folder.mkdir(parents=True, exist_ok=True)
    warm = (folder / "images" / "layout" / "index.json").exists()
    needed = WARM_DISK_BYTES if warm else COLD_DISK_BYTES
    free = shutil.disk_usage(folder).free
    if free < needed:
        raise errors.LocalClusterError(
            f"{folder} has {free / _GIB:.1f} GiB free, {needed / _GIB:.0f} GiB are needed: "
            "free some, or set XDG_CACHE_HOME to a folder on a larger disk"
        )


def missing() -> list[str]:
    """List the packages whose programs aren't there."""
    return [package for package, mark in PACKAGES.items() if not _is_there(mark)]


def _is_there(mark: str) -> bool:
    if mark.startswith("/"):
        return pathlib.Path(mark).exists()
    return shutil.which(mark, path=_SYSTEM_PATH) is not None


def install(packages: list[str]) -> None:
    """Install Debian packages; nothing to do for none.

    apt is left to finish if the launcher is killed: a broken package database is worse.
    """
    if not packages:
        return
    if shutil.which("apt-get") is None:
        raise errors.LocalClusterError(
            f"missing programs of the Debian packages {', '.join(packages)}, and no apt-get here: "
            "the native provider is made for Debian 12"
        )
    with progress.step(f"Installing Debian packages: {' '.join(packages)}") as step:
        if subprocess.run(["dpkg", "--audit"], capture_output=True, check=False).stdout:
            _quietly(step, "dpkg", "--configure", "-a")
        _apt(step, "update")
        for package in packages:
            if not _has_candidate(package):
                raise errors.LocalClusterError(
                    f"apt knows no package {package}: check /etc/apt/sources.list* "
                    "(Debian 12 `main` has it) and that `apt-get update` succeeds"
                )
        _apt(step, "install", "-y", "--no-install-recommends", *packages)


def _has_candidate(package: str) -> bool:
    shown = commands.run("apt-cache", "policy", package)
    return "Candidate:" in shown and "Candidate: (none)" not in shown


def _apt(step: progress.Step, *argv: str) -> None:
    _quietly(step, "apt-get", "-q", "-o", "DPkg::Lock::Timeout=300", *argv)


def _quietly(step: progress.Step, *argv: str) -> None:
    environment = {"DEBIAN_FRONTEND": "noninteractive"}
    wrapper = ("unshare", "--mount", "sh", "-c", _QUIET, "sh")
    commands.run(*wrapper, *argv, env=environment, step=step, survives=True)
