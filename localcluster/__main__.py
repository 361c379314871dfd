"""The command line.

Owns parsing and the choice of provider. Deliberately holds no logic of its own. Invariant: stdout
carries only what a script may read (paths, status); progress and errors go to stderr.
"""

import argparse
import pathlib
import sys

from localcluster import (
    bundle,
    errors,
    host,
    kubernetes,
    native,
    paths,
    progress,
    supervisor,
    toolchain,
    topology,
)


def main(argv: list[str] | None = None) -> int:
    """Run one command; 0 for success, 1 for a problem that was explained on stderr."""
    arguments = _parser().parse_args(argv)
    cluster = paths.Cluster(arguments.name)
    if arguments.command == "supervise":
        return supervisor.main(cluster.name, arguments.tools, listener=arguments.listener)
    if arguments.command == "init":
        bundle.main(cluster.name, arguments.tools, lifeline=arguments.lifeline,
                    listener=arguments.listener, lock=arguments.lock)
        return 0
    try:
        if arguments.command == "up":
            host.prepare()
            toolchain.build(toolchain.KUBERNETES, toolchain.GATEWAY, toolchain.PAUSE, toolchain.COREDNS)
            native.start(cluster)
            with progress.step("API") as s:
                native.wait_for_api(cluster)
            c = native.client(cluster)
            c.apply_system()
            with progress.step("Nodes") as s:
                kubernetes.wait_ready(c, nodes=len(topology.nodes()), timeout_seconds=60, step=s)
        if arguments.command == "down":
            native.stop(cluster)
    except errors.LocalClusterError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m localcluster")
    parser.add_argument("--name", default="ray")
    commands = parser.add_subparsers(dest="command", required=True)
    for n in ("up", "down"):
        commands.add_parser(n)
    s = commands.add_parser("supervise")
    s.add_argument("--tools", type=pathlib.Path)
    s.add_argument("--listener", type=int)
    s = commands.add_parser("init")
    s.add_argument("--tools", type=pathlib.Path)
    for n in ("lifeline", "listener", "lock"):
        s.add_argument(f"--{n}", type=int)
    return parser


if __name__ == "__main__":
    sys.exit(main())
