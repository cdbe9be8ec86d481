"""Groups of columns: whatever users write as `groups`, turned into one representation."""

from collections.abc import Mapping
from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np

from skreg._auto_groups import auto_groups

ACCEPTED = (
    "None, 'auto', an int (the width of every group), an array with one label a column, a list of lists of columns, "
    "or a dict name -> columns"
)
CATEGORICAL = {"category", "categorical", "enum", "str", "string"}  # dtypes of pandas and polars


@dataclass(frozen=True, eq=False)
class Groups:
    """A cover of the columns of X by named groups; every column is in one group at least.

    Attributes
    ----------
    names : list of str
        One name a group, all different, in the order of the groups' first columns.
    indices : ndarray of int64
        The columns of the first group, then those of the second, ...; ascending within a group.
    starts : ndarray of int64, shape (n_groups + 1,)
        Group g holds the columns ``indices[starts[g]:starts[g + 1]]``.
    n_features : int
        Number of columns of X.
    """

    names: list
    indices: np.ndarray
    starts: np.ndarray
    n_features: int

    def __len__(self):
        return len(self.names)

    @property
    def sizes(self):
        """Number of columns of each group."""
        return np.diff(self.starts)

    @property
    def overlapping(self):
        """Whether some column is in several groups."""
        return len(self.indices) > self.n_features

    @property
    def is_singletons(self):
        """Whether every column is a group of its own, in the order of X: the case of the Lasso."""
        return len(self.names) == len(self.indices) == self.n_features

    @property
    def is_contiguous(self):
        """Whether the groups lie one after another in X, so that a group is a slice of columns."""
        return not self.overlapping and bool((self.indices == np.arange(self.n_features)).all())

    def columns(self, g):
        """Columns of group `g`, ascending."""
        return self.indices[self.starts[g] : self.starts[g + 1]]

    def all_columns(self):
        """Columns of each group, in arrays of the caller's own."""
        indices, ends = self.indices.copy(), self.starts.tolist()
        return [indices[first:last] for first, last in zip(ends, ends[1:])]

    def labels(self):
        """Number of the group of each column, shape (n_features,); ValueError where groups overlap."""
        if self.overlapping:
            raise ValueError("Groups that overlap have no single label a column.")
        labels = np.empty(self.n_features, dtype=np.int64)
        labels[self.indices] = np.repeat(np.arange(len(self)), self.sizes)
        return labels

    def expanded(self):
        """The same groups on ``X[:, indices]``, which holds a column once for each group it is in: no overlap."""
        return Groups(self.names, _frozen(np.arange(len(self.indices), dtype=np.int64)), self.starts, len(self.indices))


def parse_groups(groups, n_features, feature_names=None, X=None):
    """The groups of columns that a parameter `groups` stands for.

    Parameters
    ----------
    groups : None, "auto", int, array-like of labels, list of lists, or dict
        - None: every column is a group of its own.
        - "auto": the columns that an encoder made from one input column are a group; see Notes.
        - int: the width of every group; it must divide `n_features`.
        - labels: one hashable label a column, in the order of the columns; columns of equal label are a group,
          wherever they stand. A pandas Series whose index holds the column names is read by name. Tuples can be
          labels only in a NumPy array of dtype object, since a list of tuples is a list of groups.
        - list of lists: each inner list holds the indices, or the names, of the columns of a group; the rows of an
          integer array with two axes likewise.
        - dict: name of the group -> its columns, by index or by name; a single column needs no list.

        Lists and dicts may put a column in several groups: `Groups.overlapping` then says so. Columns that they do
        not mention are groups of their own, under the name of the column.
    n_features : int
        Number of columns of X.
    feature_names : array-like of str, optional
        Names of the columns, where X has them.
    X : array or sparse matrix of shape (n_samples, n_features), optional
        The validated data. "auto" alone looks at it; without it, "auto" knows no one-hot columns.

    Returns
    -------
    Groups
        Groups in the order of their first columns. Labels and keys of dicts become names by ``str``; groups that have
        no name are called "group0", "group1", ... by their place in `groups`, and those of one column after the
        column ("x0", "x1", ... where X has no names). A name that is taken becomes "name (2)".

    Raises
    ------
    ValueError
        Where `groups` is none of these or does not fit X; the message names the column, the group or the length.

    Notes
    -----
    "auto" reads the names that scikit-learn's transformers give, and the values of X where names prove nothing:

    1. *Splines*: successive columns ``age_sp_0``, ``age_sp_1``, ... are the group ``age`` (`SplineTransformer`).
    2. *One-hot columns*: successive columns that share what stands before an underscore or an equals sign, as in
       ``colour_red``, ``colour_blue``, are the group ``colour`` if they are 0/1 (or take two values, as they do once
       scaled) and no row has two of them (`OneHotEncoder`, `KBinsDiscretizer`, ``pandas.get_dummies``). So
       ``mean_radius`` and ``mean_texture`` stay apart, and so do flags ``has_car``, ``has_dog`` that some row has
       both of. Columns of which every row has exactly one (all levels are coded) are found first. In the rest (a level
       was dropped) the shortest prefix counts of which this holds for all columns: ``home_type_b``, ``home_type_c``,
       ``home_city_y``, ``home_city_z`` are ``home_type`` and ``home_city`` as soon as some row has one of each. Of
       ``home_b``, ``home_c``, ``home_type_y``, ``home_type_z`` those with no longer common prefix are ``home``.
    3. *Polynomials*: a column whose name is a product of other columns' names, ``a^2`` or ``a b``, belongs to the
       group that stands for the groups of its factors: ``a``, ``a^2`` are the group ``a``; ``a b``, ``a^2 b`` the
       group ``a b``; ``colour_red size_S``, ``colour_red size_M``, ... the group ``colour size``: main effects and
       each interaction enter or leave as wholes (`PolynomialFeatures`; factors that are not columns themselves, as
       with ``degree=(2, 2)``, are not recognised).
    4. Every other column is a group of its own.

    Where all names begin with ``transformer__``, as those from `ColumnTransformer` do, groups stay within one
    transformer, and keep the prefix in their name.

    Two things cannot be seen in names and values. Flags with a common prefix that exclude each other in all rows of X
    look like one-hot columns with a dropped level: ``disease_flu`` and ``disease_cold`` are one group if nobody has
    both. And where a level was dropped from an input ``home`` with a level ``city_a`` and from another input
    ``home_city``, nothing tells whose level ``home_city_a`` is. `groups_from_transformer` gives the exact answer; so
    does a dict. A categorical column that was not encoded is one column of numbers for this function, see
    `check_encoded`.

    Examples
    --------
    >>> import numpy as np
    >>> from skreg._groups import parse_groups
    >>> parse_groups(["a", "b", "a"], 3).names
    ['a', 'b']
    >>> parse_groups({"size": [0, 2]}, 4).names
    ['size', 'x1', 'x3']
    >>> names = ["cat__colour_blue", "cat__colour_red", "num__mean_radius", "num__mean_texture"]
    >>> X = np.array([[1, 0, 0.3, 1.2], [0, 1, 0.9, 1.1], [1, 0, 0.4, 0.8]])
    >>> parse_groups("auto", 4, names, X).names
    ['cat__colour', 'num__mean_radius', 'num__mean_texture']

    Flags that exclude each other by chance; one row that has both shows that they are no levels of one input:

    >>> names = ["disease_flu", "disease_cold"]
    >>> parse_groups("auto", 2, names, np.array([[1, 0], [0, 1], [0, 0]])).names
    ['disease']
    >>> parse_groups("auto", 2, names, np.array([[1, 0], [0, 1], [1, 1]])).names
    ['disease_flu', 'disease_cold']
    """
    columns = _Columns(n_features, feature_names)
    if isinstance(groups, np.ndarray) and groups.ndim == 0:
        groups = groups.item()
    if groups is None:
        return _of_width(1, columns)
    if isinstance(groups, str):
        return _automatic(groups, columns, X)
    if isinstance(groups, (bool, np.bool_)):
        raise ValueError(f"groups must be {ACCEPTED}; got {groups}.")
    if isinstance(groups, Integral):
        return _of_width(int(groups), columns)
    if isinstance(groups, Mapping):
        return _assemble([(str(name), columns.resolve(held, name)) for name, held in groups.items()], columns)
    if isinstance(groups, np.ndarray) and groups.ndim == 1 and groups.dtype.kind in "iu" and len(groups) == n_features:
        return _from_integers(groups, columns)
    entries, is_list = _entries(groups, columns)
    if is_list:
        return _assemble([(None, columns.resolve(held, f"group{k}")) for k, held in enumerate(entries)], columns)
    return _from_labels(entries, columns)


def group_weights(weights, groups):
    """One weight a group, from None (square roots of the sizes), a number, an array, or a dict of group names."""
    roots = np.sqrt(groups.sizes)
    if weights is None:
        return roots
    if isinstance(weights, Real):
        weights = np.full(len(groups), float(weights))
    elif isinstance(weights, Mapping):
        result = roots
        place = {name: g for g, name in enumerate(groups.names)}
        for name, weight in weights.items():
            if str(name) not in place:
                raise ValueError(f"group_weights names the group {name!r}; the groups are {groups.names}.")
            if not isinstance(weight, Real):
                raise ValueError(f"group_weights must give a number for each group; got {weight!r} for {name!r}.")
            result[place[str(name)]] = weight
        weights = result
    try:
        weights = np.asarray(weights, dtype=np.float64)
    except (TypeError, ValueError):
        raise ValueError(f"group_weights must be numbers, one a group; got {weights!r}.") from None
    if weights.shape != (len(groups),):
        raise ValueError(f"group_weights must have one entry a group, shape ({len(groups)},); got {weights.shape}.")
    if not (np.isfinite(weights).all() and (weights >= 0).all()):
        raise ValueError("group_weights must be finite and non-negative; 0 leaves a group unpenalised.")
    return weights


def check_encoded(X):
    """ValueError that names the column, where a pandas or polars data frame has a categorical or text column.

    For ``groups="auto"``, before X is validated: a categorical column with numbers for levels would else pass as a
    number, and the error for any other would not say which column it is.
    """
    if not (hasattr(X, "columns") and hasattr(X, "dtypes")):
        return
    for name, dtype in zip(X.columns, X.dtypes):
        kind = str(dtype).lower().split("(")[0]
        if kind in CATEGORICAL or (kind == "object" and any(isinstance(value, str) for value in X[name])):
            raise ValueError(
                f"X has the column {name!r} of dtype {dtype}; encode it before the fit, for instance by "
                "ColumnTransformer([('cat', OneHotEncoder(sparse_output=False), columns)]).set_output("
                "transform='pandas'), whose columns groups='auto' selects as a whole."
            )


class _Columns:
    """The columns of X: finds them by index or name, and names them in errors."""

    def __init__(self, n_features, names):
        self.n_features = n_features
        self.names = None if names is None else [str(name) for name in names]
        self._place = {} if names is None else {name: j for j, name in enumerate(self.names)}

    def name(self, j):
        return f"x{j}" if self.names is None else self.names[j]

    def all_names(self):
        return [self.name(j) for j in range(self.n_features)]

    def resolve(self, held, group):
        """Ascending indices of the columns that a group holds, or an error that names what is wrong."""
        if isinstance(held, (str, Integral)):
            held = [held]
        if not _is_list(held):
            raise ValueError(f"groups: the group {group!r} must be a list of columns; got {held!r}.")
        found = [self._find(column, group) for column in held]
        if not found:
            raise ValueError(f"groups: the group {group!r} is empty.")
        result = sorted(found)
        for j, following in zip(result, result[1:]):
            if j == following:
                raise ValueError(f"groups: the group {group!r} has the column {self._shown(j)} twice.")
        return result

    def _find(self, column, group):
        if isinstance(column, str):
            return self._find_name(column, group)
        if not isinstance(column, Integral) or isinstance(column, (bool, np.bool_)):
            raise ValueError(
                f"groups: the group {group!r} must hold column names or integer indices; got {_plain(column)!r}."
            )
        if not 0 <= column < self.n_features:
            raise ValueError(
                f"groups: the group {group!r} has the column index {column}, but X has {self.n_features} columns, "
                f"0 to {self.n_features - 1}."
            )
        return int(column)

    def _find_name(self, column, group):
        where = f"groups: the group {group!r} names the column {str(column)!r}"
        if self.names is None:
            raise ValueError(
                f"{where}, but X has no column names; pass a data frame (within a pipeline, "
                "set_output(transform='pandas') makes the steps before hand one on)."
            )
        if column not in self._place:
            raise ValueError(f"{where}, which X does not have.")
        if len(self._place) < self.n_features and self.names.count(column) > 1:
            raise ValueError(f"{where}, which X has {self.names.count(column)} times.")
        return self._place[column]

    def _shown(self, j):
        return j if self.names is None else repr(self.names[j])


def _of_width(width, columns):
    n_features = columns.n_features
    if width < 1:
        raise ValueError(f"groups, as the width of every group, must be at least 1; got {width}.")
    if n_features % width:
        raise ValueError(
            f"groups={width} makes groups of {width} columns each, but X has {n_features} columns, "
            f"which is no multiple of {width}."
        )
    names = columns.all_names() if width == 1 else [f"group{k}" for k in range(n_features // width)]
    starts = np.arange(0, n_features + 1, width, dtype=np.int64)
    return Groups(_unique(names), _frozen(np.arange(n_features, dtype=np.int64)), _frozen(starts), n_features)


def _automatic(groups, columns, X):
    if groups != "auto":
        raise ValueError(f"groups must be {ACCEPTED}; got {groups!r}.")
    if columns.names is None:
        raise ValueError(
            "groups='auto' reads the names of the columns, but X has none (or they are no strings); pass a data frame, "
            "for instance from ColumnTransformer(...).set_output(transform='pandas')."
        )
    return _assemble(auto_groups(columns.names, X), columns)


def _from_labels(labels, columns):
    if len(labels) != columns.n_features:
        raise ValueError(
            f"groups has {len(labels)} labels, but X has {columns.n_features} columns; one label a column is needed "
            "(or a list of lists, or a dict, that names the columns of each group)."
        )
    members = {}
    for j, label in enumerate(labels):
        if _is_missing(label):
            raise ValueError(f"groups has no label for the column {columns.name(j)!r}: got {label!r}.")
        try:
            members.setdefault(label, []).append(j)
        except TypeError:
            raise ValueError(
                f"groups must hold hashable labels; got {label!r} for the column {columns.name(j)!r}."
            ) from None
    return _assemble([(str(label), found) for label, found in members.items()], columns)


def _from_integers(labels, columns):
    """`_from_labels` without a loop over the columns."""
    values, first, number, counts = np.unique(labels, return_index=True, return_inverse=True, return_counts=True)
    by_first = np.argsort(first)
    rank = np.empty(len(values), dtype=np.int64)
    rank[by_first] = np.arange(len(values))
    indices = np.argsort(rank[number], kind="stable")
    starts = np.cumsum([0, *counts[by_first].tolist()], dtype=np.int64)
    return Groups([str(value) for value in values[by_first].tolist()], _frozen(indices), _frozen(starts), len(labels))


def _entries(groups, columns):
    """The entries of a list or array, and whether they are lists of columns (else labels)."""
    if isinstance(groups, (list, tuple, range)):
        entries, is_list = list(groups), _is_list
    elif hasattr(groups, "__array__") and np.ndim(groups) in (1, 2):
        entries, is_list = _array_entries(groups, columns), _is_unhashable_list
    else:
        raise ValueError(f"groups must be {ACCEPTED}; got {groups!r}.")
    if not entries:
        raise ValueError("groups is empty; groups=None makes every column a group of its own.")
    lists = [is_list(entry) for entry in entries]
    if any(lists) and not all(lists):
        k = lists.index(not lists[0])
        raise ValueError(
            "groups must hold either lists of columns or labels, not both; "
            f"entry 0 is {_plain(entries[0])!r} and entry {k} is {_plain(entries[k])!r}."
        )
    return entries, lists[0]


def _array_entries(groups, columns):
    """Rows, or labels: those of a Series that is indexed by the names of the columns, in the order of the columns."""
    array = np.asarray(groups)
    if array.ndim == 2:
        return list(array)
    index = getattr(groups, "index", None)
    if columns.names is None or index is None or callable(index) or sorted(map(str, index)) != sorted(columns.names):
        return array.tolist()
    label = dict(zip(map(str, index), array.tolist()))
    return [label[name] for name in columns.names]


def _is_unhashable_list(entry):
    return isinstance(entry, (list, set, range)) or (hasattr(entry, "__array__") and np.ndim(entry) == 1)


def _is_list(entry):
    return isinstance(entry, (tuple, frozenset)) or _is_unhashable_list(entry)


def _is_missing(label):
    try:
        return label is None or bool(label != label)  # NaN and NaT differ from themselves
    except TypeError:  # pandas.NA has no truth value
        return True


def _plain(value):
    return value.item() if isinstance(value, np.generic) else value


def _assemble(named, columns):
    """Groups from pairs (name or None, ascending columns); columns in no pair follow as groups of their own."""
    alone = np.ones(columns.n_features, dtype=bool)
    alone[[j for _, held in named for j in held]] = False
    named = [(_default_name(k, held, columns) if name is None else name, held) for k, (name, held) in enumerate(named)]
    named += [(columns.name(j), [j]) for j in np.flatnonzero(alone).tolist()]
    named = [(name, held) for name, (_, held) in zip(_unique([name for name, _ in named]), named)]
    named.sort(key=lambda group: group[1][0])
    indices = np.array([j for _, held in named for j in held], dtype=np.int64)
    starts = np.cumsum([0, *(len(held) for _, held in named)], dtype=np.int64)
    return Groups([name for name, _ in named], _frozen(indices), _frozen(starts), columns.n_features)


def _default_name(k, held, columns):
    return columns.name(held[0]) if len(held) == 1 else f"group{k}"


def _unique(names):
    taken, result = set(), []
    for name in names:
        new, k = name, 1
        while new in taken:
            k += 1
            new = f"{name} ({k})"
        taken.add(new)
        result.append(new)
    return result


def _frozen(array):
    array.flags.writeable = False
    return array
