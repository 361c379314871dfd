"""The command line: `python -m localcluster COMMAND`.

Owns parsing, the lock that keeps two commands from changing one cluster at once, and exit codes.
Deliberately holds no logic of its own. Invariant: stdout carries only what a script may read
(paths, status); progress and errors go to stderr.
"""

import argparse
import collections.abc
import contextlib
import fcntl
import os
import pathlib
import re
import sys

from localcluster import (
    bundle,
    errors,
    host,
    paths,
    progress,
    provider,
    selftest,
    supervisor,
    toolchain,
)

_PROGRAMS = {program.names[0]: program for program in toolchain.ALL}


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 for success, 1 for a problem that was explained on stderr."""
    arguments = _parser().parse_args(argv)
    os.umask(0o022)  # what is made here is read by other users, in Pods
    host.complete_path()
    cluster = paths.Cluster(arguments.name)
    if arguments.command == "supervise":
        return supervisor.main(cluster.name, arguments.tools, listener=arguments.listener)
    if arguments.command == "init":
        descriptors = {name: getattr(arguments, name) for name in ("lifeline", "listener", "lock")}
        bundle.main(cluster.name, arguments.tools, **descriptors)
        return 0
    try:
        return _run(arguments, cluster)
    except errors.LocalClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        print("interrupted; run the same command again to go on, or `down`", file=sys.stderr)
        return 130


def _run(arguments: argparse.Namespace, cluster: paths.Cluster) -> int:
    chosen = provider.choose(arguments.provider, cluster)
    if arguments.command == "status":
        print(f"provider: {chosen.name}")
        print(f"kubeconfig: {chosen.kubeconfig}")
        return 0 if chosen.status() else 1
    if arguments.command in ("kubeconfig", "audit-log", "path"):
        shown = {"kubeconfig": chosen.kubeconfig, "audit-log": chosen.audit_log}
        print(shown.get(arguments.command, chosen.tools) or "")
        return 0
    if arguments.command == "selftest":
        selftest.run(cluster)
        return 0
    with _exclusively(cluster):
        if arguments.command == "up":
            chosen.up(bare=arguments.bare)
        elif arguments.command == "down":
            chosen.down()
        elif arguments.command == "images":
            chosen.images(arguments.only)
        else:
            toolchain.build(*(_PROGRAMS[name] for name in arguments.programs))
            print(toolchain.tools())
    return 0


@contextlib.contextmanager
def _exclusively(cluster: paths.Cluster) -> collections.abc.Iterator[None]:
    """Hold the cache's lock: builds are shared between clusters, too."""
    path = paths.cache() / "command.lock"
    path.parent.mkdir(parents=True, exist_ok=True)
    with open(path, "ab") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            with progress.step("Waiting for another command of the local cluster to end"):
                fcntl.flock(lock, fcntl.LOCK_EX)
        cluster.base.mkdir(parents=True, exist_ok=True)
        yield


def _cluster_name(text: str) -> str:
    if not re.fullmatch(r"[a-z0-9]([a-z0-9-]{0,18}[a-z0-9])?", text):
        raise argparse.ArgumentTypeError("1-20 lower-case letters, digits and inner dashes")
    return text


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m localcluster", description=__doc__)
    parser.add_argument(
        "--name", type=_cluster_name, default=paths.DEFAULT_CLUSTER, help="which cluster"
    )
    parser.add_argument("--provider", choices=("native", "kind"), help="default: what fits")
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    up = commands.add_parser("up", help="start the cluster, build and load images")
    up.add_argument("--bare", action="store_true", help="no helm, no Ray and operator images")
    commands.add_parser("down", help="stop the cluster; caches stay")
    commands.add_parser("status", help="print the state; exit code 0 when all is ready")
    commands.add_parser("kubeconfig", help="print the kubeconfig's path")
    commands.add_parser("audit-log", help="print the path of the API server's audit log")
    commands.add_parser("path", help="print the folder with kubectl and helm (empty: use PATH)")
    images = commands.add_parser("images", help="build and load what changed")
    images.add_argument("--only", choices=("infra", "ray", "operator"))
    commands.add_parser("selftest", help="try the lifecycle for real, on a cluster of that --name")
    build = commands.add_parser("build", help="build programs from their Go modules")
    build.add_argument("programs", nargs="+", choices=sorted(_PROGRAMS))
    for name in ("supervise", "init"):  # run by the launcher itself
        hidden = commands.add_parser(name)
        hidden.add_argument("--tools", type=pathlib.Path, required=True)
        hidden.add_argument("--listener", type=int, required=True)
    hidden.add_argument("--lifeline", type=int, required=True)
    hidden.add_argument("--lock", type=int, required=True)
    return parser


if __name__ == "__main__":
    sys.exit(main())
