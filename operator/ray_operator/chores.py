"""Carrying out the commands that end by themselves.

Owns: their wiring, what they print, and their exit codes: 0 for done, 1 for what is wrong, 2 for a
file that can't be read. Does not own: their arguments (`commands`), and what they do (`offline`,
`upkeep`). Invariant: what is wrong is said in a line, without a traceback.
"""

import asyncio
import functools
import sys
from collections.abc import Callable
from pathlib import Path

import aiohttp

from ray_operator import commands, credentials, errors, features, kube, upkeep
from ray_operator.api import crds

ANSWER = aiohttp.ClientTimeout(total=5)

Access = Callable[[Path | None], credentials.Credentials]
"""Find credentials, in a kubeconfig if one is given."""


def run(command: commands.Command, access: Access, *, version: str) -> int:
    """Carry out a command; return the exit code."""
    if isinstance(command, commands.Validate):
        return _validate(command)
    if isinstance(command, commands.Crds) and not command.is_applied:
        _write_crds(command)
        return 0
    try:
        asyncio.run(_maintain(command, access(command.kubeconfig), version=version))
    except (errors.KubeError, upkeep.Failed, credentials.BadCredentials) as error:
        print(error, file=sys.stderr)
        return 1
    return 0


def _write_crds(command: commands.Crds) -> None:
    for name, text in crds.crds().items():
        for directory in command.outputs:
            directory.mkdir(parents=True, exist_ok=True)
            (directory / name).write_text(text)
        if not command.outputs:
            print(text, end="")


def _validate(command: commands.Validate) -> int:
    from ray_operator import offline  # the others need no schemas

    gates, warnings = features.built(command.feature_gates)
    for warning in warnings:
        print(warning, file=sys.stderr)
    wrong, count = 0, 0
    for path in command.files:
        try:
            found, findings = offline.check(path, gates)
        except OSError as error:
            print(f"{path}: {error.strerror}", file=sys.stderr)
            return 2
        count += found
        wrong += sum(not each.is_warning for each in findings)
        for each in findings:
            print(each)
    print(f"{count} resources, {wrong} errors", file=sys.stderr)
    return 1 if wrong else 0


async def _maintain(
    command: commands.Crds | commands.Check | commands.Retire,
    access: credentials.Credentials,
    *,
    version: str,
) -> None:
    say = functools.partial(print, flush=True)
    async with aiohttp.ClientSession() as session:
        client = kube.Kube(session, access, user_agent=f"ray-operator/{version}")
        if isinstance(command, commands.Crds):
            await upkeep.apply_crds(client, say)
        elif isinstance(command, commands.Check):
            ask = functools.partial(asked, session, command.url)
            namespace = command.namespace or access.namespace
            await upkeep.check(client, ask, namespace=namespace, say=say)
        else:
            await upkeep.retire(
                client,
                deployment=command.deployment,
                namespace=command.namespace or access.namespace,
                watched=command.watched,
                say=say,
            )


async def asked(session: aiohttp.ClientSession, url: str) -> str:
    """Ask for the metrics of an operator; say what is wrong with the answer."""
    try:
        async with session.get(url, timeout=ANSWER) as response:
            text = await response.text()
    except (aiohttp.ClientError, TimeoutError) as error:
        return f"{url} doesn't answer: {error or type(error).__name__}"
    is_ours = response.status == 200 and "workqueue_depth" in text
    return "" if is_ours else f"{url} answers with {response.status}, and no operator's metrics"
