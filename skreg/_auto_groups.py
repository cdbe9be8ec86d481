"""Which columns encode one input, read from their names and values."""

import re
from itertools import groupby

import numpy as np
import scipy.sparse as sp

from skreg._backend import to_numpy

SPLINE = re.compile(r"(.+)_sp_(\d+)", re.DOTALL)
POWER = re.compile(r"(.+)\^(\d+)", re.DOTALL)
SEPARATOR = re.compile(r"(?<!_)_(?!_)|=")  # two underscores end the name of a transformer, not of a feature


def auto_groups(names, X=None):
    """Groups of columns that encode one input, as pairs (name, ascending columns); other columns are in none.

    The rules are those of `skreg._groups.parse_groups`; `names` are strings, `X` is dense or sparse, or None.
    """
    start = _starts_after_transformer(names)
    products = {}
    for _, block in groupby(range(len(names)), key=lambda j: names[j][: start[j]]):
        block = list(block)
        products |= _products(names, block, start[block[0]])
    if any(start):  # products of columns of several transformers: their names stand in full
        products |= _products(names, [j for j in range(len(names)) if j not in products], 0)
    plain = [j for j in range(len(names)) if j not in products]
    found = _splines(names, plain)
    in_spline = {j for _, columns in found for j in columns}
    found += _one_hots(names, [j for j in plain if j not in in_spline], start, X)
    return _with_products(found, products, names)


def _starts_after_transformer(names):
    """Where each name goes on after "transformer__", if all names have that; a bias added to them later may not."""
    if not all("__" in name for name in names if name != "1"):
        return [0] * len(names)
    return [name.find("__") + 2 if "__" in name else 0 for name in names]


def _products(names, columns, start):
    """Columns named as powers or products of others, ``a^2`` or ``a b``: column -> (factors, start of its name)."""
    place, products = {names[j][start:]: j for j in columns}, {}
    for j in sorted(columns, key=lambda j: (names[j].count(" "), names[j].count("^"))):  # factors before products
        name = names[j][start:]
        if " " in name or "^" in name:
            factors = _factors(name.split(" "), place, j)
            if factors:
                products[j] = factors, start
                place.pop(name, None)
    return products


def _factors(words, place, product, last=-1):
    """Columns, in ascending order, whose names or powers of names make up the words; None if there are none."""
    if not words:
        return []
    for k in range(len(words), 0, -1):
        token = " ".join(words[:k])
        power = POWER.fullmatch(token)
        for j in (place.get(token), place.get(power[1]) if power else None):
            if j is not None and j != product and j > last:
                following = _factors(words[k:], place, product, j)
                if following is not None:
                    return [j, *following]
    return None


def _splines(names, columns):
    """Successive columns ``age_sp_0``, ``age_sp_1``, ...; a selector may have left some out."""
    matches = {j: SPLINE.fullmatch(names[j]) for j in columns}
    found, last = [], -1
    for j, match in matches.items():
        if match is None:
            last = -1
            continue
        name, number = match[1], int(match[2])
        if last >= 0 and found[-1][0] == name and number > last:
            found[-1][1].append(j)
        else:
            found.append((name, [j]))
        last = number
    return [(name, columns) for name, columns in found if len(columns) > 1]


def _one_hots(names, columns, start, X):
    """Successive columns with a common head, of which no row has two."""
    if X is None:
        return []
    X = _by_column(X)
    heads = {j: _heads(names[j], start[j]) for j in columns}
    found = []
    for head, run in groupby(columns, key=lambda j: heads[j][0] if heads[j] else None):
        run = list(run)
        if head is None or len(run) == 1:
            continue
        found += _Levels(heads, _marked_rows(X, run), X.shape[0]).split(run)
    return found


def _heads(name, start):
    """What stands before each separator of a name: its possible inputs, the shortest first."""
    known = name.removesuffix("infrequent_sklearn")
    return [name[: match.start()] for match in SEPARATOR.finditer(known, start + 1)]


def _by_column(X):
    if not sp.issparse(X):
        return to_numpy(X)
    X = sp.csc_array(X)
    X.sum_duplicates()
    return X


def _marked_rows(X, columns):
    """For each column the rows that it marks, or None if it is not 0/1 or the scaled form of it."""
    if sp.issparse(X):
        ends = X.indptr
        return {
            j: _marked_sparse(*(a[ends[j] : ends[j + 1]] for a in (X.data, X.indices)), X.shape[0]) for j in columns
        }
    rows = {}
    for k in range(0, len(columns), 128):  # a block of columns at once: rows may lie contiguous
        part = columns[k : k + 128]
        rows |= {j: _marked(column) for j, column in zip(part, np.ascontiguousarray(X[:, part].T))}
    return rows


def _marked(column):
    low, high = column.min(), column.max()
    if low == high:
        return np.arange(len(column), dtype=np.int32)[: len(column) * int(low)] if low in (0, 1) else None
    if (low, high) != (0, 1) and len(column) < 3:
        return None  # two rows always have at most two values
    marked = column == high
    return np.flatnonzero(marked).astype(np.int32) if (marked | (column == low)).all() else None


def _marked_sparse(data, indices, n_samples):
    stored = data != 0
    if stored.sum() == n_samples:
        return _marked(data[np.argsort(indices)])
    data, indices = data[stored], indices[stored]
    if len(data) == 0:
        return indices
    one_value = (data == data[0]).all() and data[0] > 0
    return indices if one_value and (data[0] == 1 or n_samples >= 3) else None


class _Levels:
    """Columns that may be levels of inputs: the heads of their names, and the rows they mark (None: no level)."""

    def __init__(self, heads, rows, n_samples):
        self.heads, self.rows, self.n_samples = heads, rows, n_samples
        self._seen = np.zeros(n_samples, dtype=bool)

    def split(self, run):
        """Pairs (name, columns): first inputs with all levels, then, among the rest, those with a dropped one."""
        found, rest, k = [], [[]], 0
        while k < len(run):
            size = self._complete(run, k)
            if size > 1:
                found.append(self._named(run[k : k + size]))
                rest.append([])
            else:
                size = 1
                rest[-1].append(run[k])
            k += size
        return found + [self._named(part) for left in rest for part in self._by_head(left, 0)]

    def _complete(self, run, k):
        """How many columns from `k` on mark every row exactly once, with unseen levels of the same head; else 0."""
        size = self._leading(run[k:])[1]
        if size:
            head = self._named(run[k : k + size])[0]
            for j in run[k + size :]:
                if self.rows[j] is None or len(self.rows[j]) or head not in self.heads[j]:
                    break
                size += 1
        return size

    def _disjoint(self, columns):
        """Whether no row has two of the columns."""
        return self._leading(columns)[0] == len(columns)

    def _leading(self, columns):
        """How many of the first columns mark no row twice, and how many of these mark every row (0: all do not)."""
        marked, total, complete = [], 0, 0
        for j in columns:
            rows = self.rows[j]
            if rows is None or self._seen[rows].any():
                break
            self._seen[rows] = True
            marked.append(rows)
            total += len(rows)
            if total == self.n_samples and not complete:
                complete = len(marked)
        for rows in marked:
            self._seen[rows] = False
        return len(marked), complete

    def _by_head(self, columns, depth):
        """Parts of the columns that share a head, the shortest possible, and mark no row twice."""
        n_heads = {j: len(self.heads[j]) for j in columns}
        for _, part in groupby(columns, key=lambda j: self.heads[j][depth] if depth < n_heads[j] else j):
            part = list(part)
            if len(part) == 1:
                continue
            if self._disjoint(part):
                yield part
                continue
            runs = [(deeper, list(run)) for deeper, run in groupby(part, key=lambda j: n_heads[j] > depth + 1)]
            direct = [run for deeper, run in runs if not deeper]
            if len(runs) > 1 and len(direct) == 1 and len(direct[0]) > 1 and self._disjoint(direct[0]):
                yield direct[0]  # product_b, product_c beside product_type_y, product_type_z
            yield from self._by_head(part, depth + 1)

    def _named(self, columns):
        common = [heads[0] for heads in zip(*(self.heads[j] for j in columns)) if len(set(heads)) == 1]
        return (common[-1] if common else self.heads[columns[0]][0]), columns


def _with_products(found, products, names):
    """The groups, each product in the one that stands for its factors' groups: their own, if that is only one."""
    first = {j: columns[0] for _, columns in found for j in columns}
    name_of = {columns[0]: name for name, columns in found}
    members = {(columns[0],): list(columns) for _, columns in found}
    prefix_length = {}
    for product, (factors, start) in sorted(products.items()):
        key = tuple(dict.fromkeys(first.get(j, j) for j in factors))
        members.setdefault(key, list(key) if len(key) == 1 else []).append(product)
        prefix_length.setdefault(key, start)
    result = []
    for key, columns in members.items():
        labels = [name_of.get(j, names[j]) for j in key]
        name = " ".join([labels[0], *(label[prefix_length[key] :] for label in labels[1:])])
        result.append((name, sorted(columns)))
    return result
