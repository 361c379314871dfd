#!/usr/bin/env python3
"""Submit a Ray job, copy its log to standard output, and say how it ended.

Owns: this one program, which runs where the job's user wants it: `python -c TEXT FLAGS -- WORDS` in
a Ray image, or `/submitter` in one of its own. So it is one file without imports of ours, for
Python 3.9 and whatever aiohttp the image has. Does not own: which flags it gets. Invariants: a job
that ran is never submitted again, not to another head either; every character of its log is
printed once, whatever breaks in between; the termination message holds Ray's verdict, as
`{"submission_id", "status", "end_time" (epoch ms), "message"}`, or `{"error"}`.

Environment: RAY_DASHBOARD_ADDRESS (Ray's own RAY_API_SERVER_ADDRESS and RAY_ADDRESS come first),
RAY_JOB_SUBMISSION_ID, RAY_JOB_SESSION (as --session), and as for Ray's command line RAY_AUTH_MODE,
RAY_AUTH_TOKEN, RAY_AUTH_TOKEN_PATH, RAY_ENABLE_K8S_TOKEN_AUTH and RAY_JOB_HEADERS. Ends with 1 when
there is no verdict (or with --wait a bad one), else with 0. Source: KubeRay's light-weight
submitter (flags, first lines); Ray's `ray job submit`; Ray, `dashboard/modules/job`, 2.9 to 2.60.
"""

from __future__ import annotations

import sys

if sys.path[0] == "":  # python -c: a user's random.py in the working directory is not the library's
    del sys.path[0]

import argparse
import asyncio
import json
import os
import re
import signal
import time
import urllib.parse
from pathlib import Path
from typing import Any, NoReturn

import aiohttp

FINAL = ("SUCCEEDED", "FAILED", "STOPPED")
PAUSE = 1.0  # seconds between two attempts
HUSH, IDLE = 0.5, 30.0  # seconds without log until it is asked whether the job still runs; doubles
SMALL = 8 * 2**20  # characters of log that may be read a second time, for what the stream missed
ACCIDENTS = (aiohttp.ClientError, asyncio.TimeoutError, OSError)


class Failure(Exception):
    """Ends the program with 1; the text is for the user."""


class Output:
    """Standard output: the job's log, each character once, and lines of our own between."""

    def __init__(self) -> None:
        self.shown, self._fresh_line = 0, True

    def log(self, text: str, at: int) -> int:
        """Print what of `text`, which begins at character `at` of the log, is new; return its end.

        Each connection sends the log from its beginning, in frames cut differently each time.
        """
        end = at + len(text)
        if end > self.shown:
            text, self.shown = text[max(0, self.shown - at) :], end
            self._write(text)
            self._fresh_line = text.endswith("\n")
        return end

    def say(self, text: str) -> None:
        """Print a line of our own."""
        self._write(text + "\n" if self._fresh_line else f"\n{text}\n")
        self._fresh_line = True

    def _write(self, text: str) -> None:
        try:
            sys.stdout.buffer.write(text.encode(errors="replace"))
            sys.stdout.buffer.flush()
        except OSError:  # nobody reads any more
            os._exit(1)


class Head:
    """A head's dashboard, asked about one job; waits up to `patience` seconds for answers."""

    def __init__(self, http: aiohttp.ClientSession, out: Output, job: str, patience: float) -> None:
        self._http, self._out, self._job, self._patience = http, out, job, patience
        self._url = address()
        self._path = "/api/jobs/" + urllib.parse.quote(job, safe="")
        self._contact, self._told, self._outages = time.monotonic(), time.monotonic(), 0

    async def submit(self, payload: dict[str, Any], session: str | None) -> None:
        """Have the job run, unless the head knows it already."""
        deadline, tried, refusals = time.monotonic() + self._patience, False, 0
        done = f"SUCC -- Job '{self._job}' submitted successfully"
        known = f"INFO -- Job '{self._job}' was already submitted, following its log"
        while True:
            if await self._look(self._path) is not None:
                return self._out.say(done if tried else known)
            # Another head would run the job a second time: its table of jobs is another.
            found = (await self._look("/api/version") or {}).get("session_name")
            if session and found != session:
                raise Failure(
                    f"Job '{self._job}' not submitted: {self._url} is another head than before"
                    f" (session {found}, not {session})"
                )
            session, first, tried = found, not tried, True
            try:
                status, text = await self._post(payload)
            except ACCIDENTS as error:
                trouble = reason(error)  # and the job may have been taken: look again
            else:
                if status == 200 or "use a different submission_id" in text:
                    return self._out.say(known if status != 200 and first else done)
                trouble = f"{status}: {text}"
                if "No available agent" not in text:  # a broken connection behind it, or a refusal
                    refusals += 1 if status >= 500 else 3
            if refusals >= 3 or time.monotonic() > deadline:
                raise Failure(f"Job '{self._job}' not submitted: {self._url} answers {trouble}")
            self._complain(trouble)
            await asyncio.sleep(PAUSE)

    async def follow(self) -> dict[str, Any]:
        """Print the log until the job has ended; return the job's details."""
        while True:
            whole = await self._tail()
            job = await self._look(self._path)
            if job is None:
                raise Failure(f"Job '{self._job}' is gone from {self._url}: lost with its head")
            if job.get("status") in FINAL:
                if not whole or self._out.shown < SMALL:
                    await self._rest()
                return dict(job)
            await asyncio.sleep(PAUSE)

    async def _tail(self) -> bool:
        """Print the log as it comes; return whether it ended in good order, if not in truth."""
        at = 0
        try:
            url = self._url + self._path + "/logs/tail"
            async with self._http.ws_connect(url, headers=headers(), max_msg_size=0) as socket:
                while True:
                    outages, frame = self._outages, asyncio.ensure_future(socket.receive())
                    hush = HUSH
                    # Ray answers no pings, so silence is probed by asking for the job's status;
                    # a ping, unanswered, keeps what lies between from forgetting the connection.
                    # Ray itself ends the stream a second after the job.
                    while not (await asyncio.wait({frame}, timeout=hush))[0]:
                        hush = min(2 * hush, IDLE)
                        await socket.ping()
                        job = await self._look(self._path)
                        over = job and job.get("status") in FINAL
                        if over and self._out.shown >= SMALL and hush < IDLE:
                            continue  # the stream's own end spares reading it all again
                        if not job or over or outages != self._outages:
                            frame.cancel()
                            return False
                    message, self._contact = frame.result(), time.monotonic()
                    if message.type != aiohttp.WSMsgType.TEXT:
                        return socket.close_code == 1000
                    at = self._out.log(message.data, at)
        except ACCIDENTS:
            return False

    async def _rest(self) -> None:
        """Print what the stream left out: all of it when the job was faster than we."""
        trouble = ""
        for _ in range(3):
            try:
                status, text = await self._ask("GET", self._path + "/logs")
                if status == 200:
                    self._out.log(json.loads(text)["logs"], 0)
                    return
                trouble = f"{status}: {text.strip()[-200:]}"
            except (*ACCIDENTS, ValueError) as error:
                trouble = reason(error)
            await asyncio.sleep(PAUSE)
        self._out.say(f"WARN -- The log may lack its end, which can't be read: {trouble}")

    async def _look(self, path: str) -> Any:
        """Return what the head says at `path`, None for a job that it doesn't know."""
        pause = 0.2
        while True:
            try:
                status, text = await self._ask("GET", path)
                if status in (401, 403):
                    raise Failure(f"{self._url} refuses the token, or wants one: {status}: {text}")
                unknown = status == 404 and "does not exist" in text  # not a proxy's 404
                if unknown or status == 200:
                    answer = None if unknown else json.loads(text)
                    self._contact = time.monotonic()
                    return answer
                trouble = f"{status}: {text.strip()[:200]}"
            except (*ACCIDENTS, ValueError) as error:
                trouble = reason(error)
            self._outages += 1
            if time.monotonic() - self._contact > self._patience:
                raise Failure(f"Gave up on {self._url} after {self._patience:g} s: {trouble}")
            self._complain(trouble)
            await asyncio.sleep(pause)
            pause = min(pause * 1.5, 2)

    def _complain(self, trouble: str) -> None:
        if time.monotonic() - self._told > 10:
            self._told = time.monotonic()
            self._out.say(f"INFO -- Waiting for the Ray dashboard at {self._url}: {trouble}")

    async def _ask(self, method: str, path: str, body: Any = None) -> tuple[int, str]:
        async with self._http.request(
            method, self._url + path, json=body, headers=headers(), allow_redirects=False
        ) as response:
            return response.status, await response.text("utf-8", "replace")

    async def _post(self, payload: dict[str, Any]) -> tuple[int, str]:
        """Post the job; by Ray's SDK, if there is one, when files of this container belong to it.

        The SDK uploads a folder `working_dir` and reads a file of pip requirements. Where there is
        no Ray, the head is left to say what it makes of such a path (of a folder: FAILED).
        """
        env = payload.get("runtime_env", {})
        named = [env.get(key) for key in ("working_dir", "pip", "uv", "conda")]
        named += env.get("py_modules") or []
        if not any(isinstance(each, str) and "://" not in each for each in named):
            return await self._ask("POST", "/api/jobs/", payload)
        try:
            from ray.job_submission import JobSubmissionClient
        except ImportError:
            return await self._ask("POST", "/api/jobs/", payload)
        os.environ["RAY_API_SERVER_ADDRESS"] = os.environ["RAY_ADDRESS"] = self._url
        try:
            JobSubmissionClient(self._url, headers=headers()).submit_job(**payload)
        except ValueError as error:
            return 400, str(error)
        except RuntimeError as error:
            return 500, str(error)
        return 200, ""


def address() -> str:
    """Return the dashboard's URL without a trailing slash."""
    own = (os.environ.get(name, "") for name in ("RAY_API_SERVER_ADDRESS", "RAY_ADDRESS"))
    given = next((url for url in own if url.startswith(("http://", "https://"))), "")
    given = given or os.environ.get("RAY_DASHBOARD_ADDRESS", "")
    if not given:
        raise Failure("RAY_DASHBOARD_ADDRESS is not set: it is the dashboard's host:port")
    return (given if "://" in given else "http://" + given).rstrip("/")


def headers() -> dict[str, str]:
    """Return the headers of a request, with the token of the moment: mounted ones change."""
    env, mode = os.environ, os.environ.get("RAY_AUTH_MODE", "").lower()
    found = dict(json_object(env.get("RAY_JOB_HEADERS") or "{}"))
    found["User-Agent"] = "ray-operator-submitter"  # Ray refuses what looks like a browser
    k8s = env.get("RAY_ENABLE_K8S_TOKEN_AUTH", "").lower() in ("1", "true")
    usual = "/var/run/secrets/ray.io/serviceaccount/token" if k8s else "~/.ray/auth_token"
    path = env.get("RAY_AUTH_TOKEN_PATH") or (usual if mode == "token" else "")
    token = env.get("RAY_AUTH_TOKEN", "").strip()
    if path and not token:
        try:
            token = Path(os.path.expanduser(path)).read_text().strip()  # "~" may be nobody's
        except OSError as error:
            raise Failure(f"No token: RAY_AUTH_TOKEN is not set, and {error}") from error
    if token and mode != "disabled":  # the second for a proxy that keeps the first to itself
        found["Authorization"] = found["X-Ray-Authorization"] = "Bearer " + token
    return found


def reason(error: BaseException) -> str:
    """Say what went wrong; a time-out has no text of its own."""
    return str(error) or type(error).__name__


def json_object(text: str) -> dict[str, Any]:
    """Parse an argument that is a JSON object; empty for none."""
    try:
        value = json.loads(text or "{}")
    except ValueError as error:
        raise argparse.ArgumentTypeError(f"not JSON ({error}): {text}") from None
    if not isinstance(value, dict):
        raise argparse.ArgumentTypeError(f"not a JSON object: {text}")
    return value


class Arguments(argparse.ArgumentParser):
    """A parser that leaves printing and exit status to `main`."""

    def error(self, message: str) -> NoReturn:
        """Raise what argparse would exit with."""
        raise Failure(message)


def parse(argv: list[str]) -> tuple[argparse.Namespace, dict[str, Any]]:
    """Return the options and the request to Ray, without what is empty."""
    cut = argv.index("--") if "--" in argv else len(argv)
    parser = Arguments("submitter", allow_abbrev=False, usage="submitter [OPTION…] -- ENTRYPOINT")
    for name in ("runtime-env-json", "metadata-json", "entrypoint-resources"):
        parser.add_argument(f"--{name}", type=json_object, metavar="JSON")
    for name in ("entrypoint-num-cpus", "entrypoint-num-gpus"):
        parser.add_argument(f"--{name}", type=float, metavar="NUMBER")
    session = os.environ.get("RAY_JOB_SESSION")
    parser.add_argument("--session", default=session, help="submit to this session's head only")
    parser.add_argument("--give-up-after", type=float, default=600.0, metavar="SECONDS")
    parser.add_argument("--wait", action="store_true", help="end with 1 if the job fails")
    options = parser.parse_args(argv[:cut])
    payload = {
        "entrypoint": " ".join(argv[cut + 1 :]),
        "submission_id": os.environ.get("RAY_JOB_SUBMISSION_ID"),
        "runtime_env": options.runtime_env_json,
        "metadata": options.metadata_json,
        "entrypoint_num_cpus": options.entrypoint_num_cpus,
        "entrypoint_num_gpus": options.entrypoint_num_gpus,
        "entrypoint_resources": options.entrypoint_resources,
    }
    if not payload["entrypoint"].strip():
        raise Failure("no entrypoint: the job's command comes after --")
    if not payload["submission_id"]:
        raise Failure("RAY_JOB_SUBMISSION_ID is not set: it is the job's id")
    return options, {key: value for key, value in payload.items() if value}


async def run(options: argparse.Namespace, payload: dict[str, Any], out: Output) -> dict[str, Any]:
    """Submit the job, follow it, and return its details."""
    timeout = aiohttp.ClientTimeout(total=None, sock_connect=5, sock_read=30)
    async with aiohttp.ClientSession(timeout=timeout, trust_env=False) as http:
        head = Head(http, out, payload["submission_id"], options.give_up_after)
        await head.submit(payload, options.session)
        return await head.follow()


def leave_verdict(**verdict: Any) -> None:
    """Write the termination message, within the 4096 bytes that Kubernetes keeps."""
    for key in {"message", "error"} & set(verdict):
        text = re.sub(r"[\x00-\x09\x0b-\x1f\x7f]", " ", verdict[key] or "")
        verdict[key] = text if len(text) <= 800 else f"{text[:200]} … {text[-600:]}"
    path = os.environ.get("TERMINATION_LOG", "/dev/termination-log")
    if os.access(path, os.W_OK):  # never made: outside of Kubernetes there is none
        Path(path).write_bytes(json.dumps(verdict, ensure_ascii=False).encode(errors="replace"))


def main(argv: list[str]) -> int:
    """Run the program; return its exit status."""
    out = Output()
    try:
        options, payload = parse(argv)
        job = asyncio.run(run(options, payload, out))
    except (Failure, argparse.ArgumentTypeError) as failure:
        sys.stderr.write(f"ERROR -- {failure}\n")
        leave_verdict(error=str(failure))
        return 1
    status, message = job["status"], job.get("message") or ""
    name, why = f"Job '{payload['submission_id']}'", message.split(", last available logs")[0]
    lines = {"SUCCEEDED": f"SUCC -- {name} succeeded", "STOPPED": f"WARN -- {name} was stopped"}
    out.say(lines.get(status, f"ERR -- {name} failed: {why}"))
    known = {"submission_id": payload["submission_id"], "status": status}
    leave_verdict(**known, end_time=job.get("end_time"), message=message)
    return 1 if options.wait and status == "FAILED" else 0


if __name__ == "__main__":
    for each in (signal.SIGTERM, signal.SIGINT):  # the first process of a container has no default
        signal.signal(each, lambda number, _: os._exit(128 + number))
    sys.exit(main(sys.argv[1:]))
