"""Which columns encode one input, known from the transformer that made them."""

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.pipeline import FeatureUnion, Pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, PolynomialFeatures, SplineTransformer
from sklearn.utils.validation import check_is_fitted


def groups_from_transformer(transformer):
    """Groups of the columns that a fitted transformer gives: one label a column, for the parameter `groups`.

    Columns made from one input column by one transformer have the same label. Unlike ``groups="auto"``, this does not
    guess from names and values, and it serves sparse and plain arrays, which have no column names.

    Parameters
    ----------
    transformer : fitted transformer
        `ColumnTransformer`, `Pipeline` and `FeatureUnion` are followed into their parts. `OneHotEncoder`,
        `KBinsDiscretizer` and `SplineTransformer` make a group of each input column; `PolynomialFeatures` one of the
        powers of each column (or group of columns), and one of each interaction. Outputs of any other transformer
        keep the group of the input of the same name, and are groups of their own where there is none: those of `PCA`
        are, those of `StandardScaler` and of `SelectKBest` are not.

    Returns
    -------
    ndarray of str, shape (n_features_out,), dtype object
        Name of the group of each output column: that of the input column, after ``"transformer__"`` for each
        `ColumnTransformer` and `FeatureUnion` on the way.

    Raises
    ------
    ValueError
        Where a part has no ``get_feature_names_out``.

    See Also
    --------
    sklearn.compose.ColumnTransformer : Applies transformers to columns of an array or data frame.

    Notes
    -----
    The labels fit what `transformer` gives now. A cross-validation that fits it anew in each fold needs the same
    columns in all folds: give the encoder its ``categories``, or group by name with ``groups="auto"``.

    Examples
    --------
    >>> import numpy as np
    >>> from sklearn.compose import ColumnTransformer
    >>> from sklearn.preprocessing import OneHotEncoder, SplineTransformer
    >>> from skreg._transformer_groups import groups_from_transformer
    >>> X = np.array([["red", 1.0], ["blue", 2.0], ["red", 4.0]], dtype=object)
    >>> encoder = ColumnTransformer([("cat", OneHotEncoder(), [0]), ("spl", SplineTransformer(n_knots=2), [1])])
    >>> groups_from_transformer(encoder.fit(X)).tolist()
    ['cat__x0', 'cat__x0', 'spl__x1', 'spl__x1', 'spl__x1', 'spl__x1']
    """
    check_is_fitted(transformer)
    names = getattr(transformer, "feature_names_in_", None)
    names = [f"x{j}" for j in range(transformer.n_features_in_)] if names is None else [str(name) for name in names]
    return np.array(_follow(transformer, names, names)[1], dtype=object)


def _follow(transformer, names, labels):
    """Names of a transformer's output columns, and their groups' labels, from those of its input columns."""
    if isinstance(transformer, str):  # "passthrough"
        return names, labels
    if isinstance(transformer, Pipeline):
        for _, step in transformer.steps:
            names, labels = _follow("passthrough" if step is None else step, names, labels)
        return names, labels
    names_out = _names_out(transformer, names)
    labels_out = _labels_out(transformer, names, labels, names_out)
    if len(labels_out) != len(names_out):
        raise ValueError(
            f"{type(transformer).__name__} gives {len(names_out)} columns, of which only {len(labels_out)} can be "
            "traced to its inputs."
        )
    return names_out, labels_out


def _names_out(transformer, names):
    if not hasattr(transformer, "get_feature_names_out"):
        raise ValueError(
            f"{type(transformer).__name__} has no get_feature_names_out, so its outputs cannot be traced to inputs."
        )
    return transformer.get_feature_names_out(None if hasattr(transformer, "feature_names_in_") else names).tolist()


def _labels_out(transformer, names, labels, names_out):
    if isinstance(transformer, (ColumnTransformer, FeatureUnion)):
        return [label for part in _parts(transformer, names, labels) for label in part]
    if isinstance(transformer, OneHotEncoder):
        return _repeated(labels, _n_levels(transformer))
    if isinstance(transformer, KBinsDiscretizer) and transformer.encode != "ordinal":
        return _repeated(labels, transformer.n_bins_)
    if isinstance(transformer, SplineTransformer):
        return _repeated(labels, [len(names_out) // len(labels)] * len(labels))
    if isinstance(transformer, PolynomialFeatures):
        factors = [dict.fromkeys(labels[j] for j in np.flatnonzero(row)) for row in transformer.powers_]
        return [" ".join(distinct) if distinct else "1" for distinct in factors]
    label_of = dict(zip(names, labels))
    return [label_of.get(name, name) for name in names_out]


def _parts(transformer, names, labels):
    """Labels of the outputs of each part of a ColumnTransformer or FeatureUnion, in order."""
    every = slice(None)
    is_union = isinstance(transformer, FeatureUnion)
    parts = [(*part, every) for part in transformer.transformer_list] if is_union else transformer.transformers_
    for name, part, columns in parts:
        places = _places(columns, names)
        if not (isinstance(part, str) and part == "drop") and places:
            _, found = _follow(part, [names[j] for j in places], [labels[j] for j in places])
            yield [f"{name}__{label}" for label in found]


def _places(columns, names):
    """Indices of the columns that one entry of a fitted ColumnTransformer takes."""
    if isinstance(columns, slice):
        start, stop = columns.start, columns.stop
        if isinstance(start, str) or isinstance(stop, str):  # by name, where the end belongs to the slice
            start = None if start is None else names.index(start)
            stop = None if stop is None else names.index(stop) + 1
        return list(range(len(names))[start : stop : columns.step])
    columns = np.atleast_1d(columns)
    if columns.dtype == bool:
        return np.flatnonzero(columns).tolist()
    return [names.index(c) if isinstance(c, str) else range(len(names))[c] for c in columns.tolist()]


def _n_levels(encoder):
    """Number of columns that a OneHotEncoder makes of each input."""
    levels = np.array([len(categories) for categories in encoder.categories_])
    for k, infrequent in enumerate(getattr(encoder, "infrequent_categories_", [])):
        levels[k] -= 0 if infrequent is None else len(infrequent) - 1
    dropped = encoder.drop_idx_
    return levels if dropped is None else levels - [index is not None for index in dropped]


def _repeated(labels, times):
    return [label for label, k in zip(labels, times) for _ in range(k)]
