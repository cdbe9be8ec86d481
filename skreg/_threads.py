"""Threads: one for BLAS's many small products, all that are allowed for passes over the data.

A solve makes thousands of small products and factorisations. Handed to BLAS's own threads (NumPy and SciPy each bring
a pool) they cost several times what they cost on one; only what reads the whole of X gains from more. So BLAS is held
to one thread, and those few products are split by hand.
"""

import os
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from contextvars import ContextVar

from skreg._backend import threadpool_controller

_ALLOWED: ContextVar[int] = ContextVar("skreg_threads", default=1)
_POOLS: dict[int, ThreadPoolExecutor] = {}
os.register_at_fork(after_in_child=_POOLS.clear) if hasattr(os, "register_at_fork") else None


@contextmanager
def one_blas_thread():
    """Context in which BLAS runs on one thread, and `in_parallel` on as many as BLAS was allowed before."""
    if _ALLOWED.get() > 1:
        yield
        return
    controller = threadpool_controller().select(user_api="blas")
    n_threads = max((library.num_threads for library in controller.lib_controllers), default=1)
    if n_threads == 1:
        yield
        return
    token = _ALLOWED.set(n_threads)
    try:
        with controller.limit(limits=1):
            yield
    finally:
        _ALLOWED.reset(token)


def n_threads():
    """Number of threads that `in_parallel` uses here: 1 outside of `one_blas_thread`, where BLAS has its own."""
    return _ALLOWED.get()


def in_parallel(task, parts):
    """Results of `task(part)` for each part, on one thread each; the task must spend its time without the GIL."""
    if len(parts) == 1:
        return [task(parts[0])]
    pool = _POOLS.get(len(parts))
    if pool is None:
        pool = _POOLS[len(parts)] = ThreadPoolExecutor(len(parts) - 1, thread_name_prefix="skreg")
    others = [pool.submit(task, part) for part in parts[1:]]
    return [task(parts[0]), *(other.result() for other in others)]
