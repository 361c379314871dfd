"""The commands that end by themselves: their arguments, output and exit codes."""

from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import test_utils, web

from ray_operator import chores, cli, commands, credentials, errors, features, upkeep
from ray_operator.api import crds

NOWHERE = credentials.Credentials(server="https://127.0.0.1:1", namespace="mine")
METRICS = "# HELP workqueue_depth Keys waiting for a worker."


def parse(*words: str) -> commands.Command | cli.Run:
    return cli.parse(words, {}, version="test")


def run(command: commands.Command) -> int:
    return chores.run(command, lambda _: NOWHERE, version="test")


@pytest.mark.parametrize(
    ("words", "expected"),
    [
        (("crds",), commands.Crds()),
        (
            ("crds", "--output=a", "--output=b"),
            commands.Crds(outputs=(Path("a"), Path("b"))),
        ),
        (
            ("crds", "--apply", "--kubeconfig=k"),
            commands.Crds(is_applied=True, kubeconfig=Path("k")),
        ),
        (
            ("validate", "--feature-gates=RayCronJob=true", "a.yaml"),
            commands.Validate(
                files=(Path("a.yaml"),),
                feature_gates=features.DEFAULT | {features.Feature.CRON_JOB},
            ),
        ),
        (
            ("check", "--url=http://a", "--namespace=n"),
            commands.Check(url="http://a", namespace="n"),
        ),
        (("retire",), commands.Retire()),
        (
            ("retire", "--deployment=d", "--namespace=n", "--watch-namespace=a, b,"),
            commands.Retire(deployment="d", namespace="n", watched=("a", "b")),
        ),
    ],
)
def test_arguments(words: tuple[str, ...], expected: commands.Command) -> None:
    assert parse(*words) == expected


@pytest.mark.parametrize(
    "words", [("crds", "--apply", "--output=a"), ("check",), ("retire", "a"), ("validate",)]
)
def test_what_makes_no_sense_ends_with_2(words: tuple[str, ...]) -> None:
    with pytest.raises(SystemExit, match=r"^2$"):
        parse(*words)


def test_crds_are_written_to_every_directory(tmp_path: Path) -> None:
    folders = (tmp_path / "a", tmp_path / "b")
    assert run(commands.Crds(outputs=folders)) == 0
    for folder in folders:
        assert {path.name: path.read_text() for path in folder.iterdir()} == crds.crds()


async def test_the_answer_of_the_service() -> None:
    answers = {"/metrics": (200, METRICS), "/other": (200, "hello"), "/gone": (503, METRICS)}

    async def answer(request: web.BaseRequest) -> web.Response:
        status, text = answers[request.path]
        return web.Response(status=status, text=text)

    async with test_utils.RawTestServer(answer) as server, aiohttp.ClientSession() as session:
        urls = {path: str(server.make_url(path)) for path in answers}
        said = {path: await chores.asked(session, url) for path, url in urls.items()}
    assert said == {
        "/metrics": "",
        "/other": f"{urls['/other']} answers with 200, and no operator's metrics",
        "/gone": f"{urls['/gone']} answers with 503, and no operator's metrics",
    }


@pytest.mark.parametrize(
    ("command", "duty"),
    [
        (commands.Crds(is_applied=True), "apply_crds"),
        (commands.Check(url="http://a"), "check"),
        (commands.Retire(deployment="d", watched=("a",)), "retire"),
    ],
)
@pytest.mark.parametrize("error", [upkeep.Failed("too late"), errors.Forbidden("too late")])
def test_what_goes_wrong_is_a_line_and_exit_code_1(
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    command: commands.Command,
    duty: str,
    error: Exception,
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise error

    monkeypatch.setattr(upkeep, duty, fail)
    assert run(command) == 1
    assert capsys.readouterr().err == "too late\n"


@pytest.mark.parametrize(
    ("command", "duty", "expected"),
    [
        (commands.Check(url="http://a"), "check", {"namespace": "mine"}),
        (commands.Check(url="http://a", namespace="b"), "check", {"namespace": "b"}),
        (
            commands.Retire(deployment="d", watched=("a",)),
            "retire",
            {"deployment": "d", "namespace": "mine", "watched": ("a",)},
        ),
    ],
)
def test_our_own_namespace_is_meant_where_none_is_named(
    monkeypatch: pytest.MonkeyPatch,
    command: commands.Command,
    duty: str,
    expected: dict[str, Any],
) -> None:
    given: dict[str, Any] = {}

    async def note(*_: Any, **options: Any) -> None:
        given.update(options)

    monkeypatch.setattr(upkeep, duty, note)
    assert run(command) == 0
    given.pop("say")
    assert given == expected
