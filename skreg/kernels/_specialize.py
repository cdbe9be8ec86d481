"""Compile a plain Python template for a penalty, with an on-disk cache that is hit by fresh processes and never stale.

A template is a module-level function with free names, such as ``prox``. `specialize` binds those names to the leaf
functions of a penalty and compiles the result. A digest of every source that takes part stands in the compiled
function's qualified name and hence in the name of its cache file: an edited leaf is another file. (numba's own cache
key covers only the file of the outer function, and never hits for jitclasses or dispatchers passed as arguments.)

Even with every kernel in the cache, numba costs a fresh process half a second: to import, to set up, and at exit, where
Python visits all that it made. Little problems do without: NumPy takes the place of loops over the data
(`is_little`), the interpreter that of the others until it has been at it for as long (`is_soon_done`).
"""

import functools
import hashlib
import inspect
from types import FunctionType

import numpy as np

import skreg

LITTLE = 2**16  # numbers in a problem's data up to which it counts as little
_LOADING = 100_000  # steps of a coordinate loop that the interpreter makes while numba could be loaded

_COMPILED = {}
_steps = 0  # that the interpreter has made in this process


def is_little(cells):
    """Whether NumPy does as well as compiled loops on so many numbers."""
    return cells <= LITTLE


def is_loaded_or_pays(cells):
    """Whether to use compiled loops on so many numbers: where they are not little, or numba is at hand anyway."""
    return bool(_COMPILED) or not is_little(cells)


def is_soon_done(cells, steps):
    """Whether to leave the next `steps` of a loop to the interpreter; `cells` is the size of the problem's data."""
    global _steps
    if _COMPILED or not is_little(cells) or _steps + steps > _LOADING:
        return False
    _steps += steps
    return True


def specialize(template, fastmath=(), **leaves):
    """Compile `template` with its free names bound to the given functions.

    Parameters
    ----------
    template : function
        Module-level function written for numba; it may call the leaves by their names.
    fastmath : tuple of str, default=()
        LLVM flags: ("reassoc", "contract") lets sums be reordered, so that dot products become vectorised.
    **leaves : functions
        Plain functions by the names under which the template, or another leaf, calls them. They may use `math`, numpy
        and each other; a mutable global would be frozen at compile time.

    Returns
    -------
    dispatcher
        The compiled function; the same object for the same arguments in one process. Where no cache folder is
        writable it is compiled without a cache.
    """
    key = (template, fastmath, tuple(sorted(leaves.items())))
    if key not in _COMPILED:
        _COMPILED[key] = _compile(template, fastmath, leaves)
    return _COMPILED[key]


def bind(template, decorate=lambda function: function, **leaves):
    """Copy of `template`, and of the leaves, with the names bound: plain Python unless `decorate` compiles it."""
    bound, copies = {}, []
    for name, leaf in leaves.items():
        copies.append(_rebind(leaf, leaf.__globals__))
        bound[name] = decorate(copies[-1])
    for copy in copies:
        copy.__globals__.update(bound)
    return _rebind(template, {**template.__globals__, **bound})


@functools.cache
def interpret(template, **leaves):
    """`template` with its free names bound, for the interpreter; as silent as compiled code about overflows."""
    return np.errstate(all="ignore")(bind(template, **leaves))


def _compile(template, fastmath, leaves):
    from numba import njit

    options = dict(nogil=True, fastmath=set(fastmath))
    digest = _digest(template, fastmath, leaves)

    def compiled(leaf):
        # Compiled symbols that several cache files define under one name are linked to the first that is loaded.
        leaf.__qualname__ = f"{leaf.__qualname__}-{digest}"
        return njit(fastmath=set(fastmath))(leaf)

    function = bind(template, compiled, **leaves)
    function.__qualname__ = f"{template.__qualname__}-{digest}"
    try:
        return njit(cache=True, **options)(function)
    except RuntimeError:  # numba found no folder that it may write to
        return njit(**options)(function)


def _rebind(function, names):
    copy = FunctionType(function.__code__, dict(names), function.__name__, function.__defaults__, function.__closure__)
    copy.__module__ = function.__module__
    copy.__qualname__ = function.__qualname__
    return copy


def _digest(template, fastmath, leaves):
    parts = [skreg.__version__, _source(_compile), str(fastmath), _source(template)]
    for name in sorted(leaves):
        parts += [name, _source(leaves[name])]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


@functools.cache
def _source(function):
    """Text that changes when the function does: its source, or its code and constants where it has no file."""
    try:
        return inspect.getsource(function)
    except (OSError, TypeError):
        code = function.__code__
        return repr((code.co_code, code.co_consts, code.co_names, function.__defaults__))


def as_kernel_array(x, dtype=None):
    """A C-contiguous read-only view (or copy) of `x`, so that every input reaches a kernel as one numba type.

    Index arrays become int64 unless `dtype` says otherwise, all others float64.
    """
    if dtype is None:
        dtype = np.int64 if x.dtype.kind in "iu" else np.float64
    view = np.ascontiguousarray(x, dtype=dtype).view()
    view.flags.writeable = False
    return view
