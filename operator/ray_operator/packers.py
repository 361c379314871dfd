"""Solve packing problems: small ones at once, large ones in another process.

Owns: that process, and which problems go there. Does not own: the solution
(`autoscaler.scale_up`). Invariant: no problem holds up the event loop for longer than a small one
takes. A process was chosen over a thread, with which the loop would share one interpreter.
"""

import asyncio
import concurrent.futures
import multiprocessing

from ray_operator import errors, metrics
from ray_operator.autoscaler import scale_up

HEAVY = 1_000
"""Size of a problem that takes longer than the other clusters should wait, some 20 ms."""


class Packers:
    """Solve; the process is started for the first large problem."""

    def __init__(self) -> None:
        self._process: concurrent.futures.Executor | None = None

    async def solve(self, problem: scale_up.Problem) -> scale_up.Solution:
        """Return how the demand is served.

        Raises:
            Unreachable: the process ended; the next attempt starts another.
        """
        with metrics.packing_seconds.time():
            if problem.size() < HEAVY:
                return scale_up.solve(problem)
            return await self._solve_elsewhere(problem)

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._process.shutdown(wait=False, cancel_futures=True)
            self._process = None

    def _submit(self, problem: scale_up.Problem) -> concurrent.futures.Future[scale_up.Solution]:
        """Hand the problem to the process; to start that takes its time."""
        if self._process is None:
            self._process = concurrent.futures.ProcessPoolExecutor(
                max_workers=1, mp_context=multiprocessing.get_context("spawn")
            )
        return self._process.submit(scale_up.solve, problem)

    async def _solve_elsewhere(self, problem: scale_up.Problem) -> scale_up.Solution:
        try:
            return await asyncio.wrap_future(await asyncio.to_thread(self._submit, problem))
        except concurrent.futures.BrokenExecutor as error:
            self._process = None
            raise errors.Unreachable(f"the packing process ended: {error}") from error
