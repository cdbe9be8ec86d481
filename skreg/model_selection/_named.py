"""Cross-validated forms of the estimators, with the estimators' own parameters beside those of `PathCV`."""

import inspect
import re

import numpy as np
from sklearn.utils.validation import check_is_fitted

from skreg.group import GroupLasso, MultiTaskElasticNet, MultiTaskLasso, SparseGroupLasso
from skreg.model_selection._cv import PathCV
from skreg.sparse import AdaptiveLasso, ElasticNet, Lasso, SparseClassifier, SparseRegressor

_OWN = ("alpha", "warm_start")  # parameters of an estimator that a search takes over
_LISTS = ("l1_ratio",)  # parameters that may be a list of values to choose from


class EstimatorCV(PathCV):
    """Base of the named forms: ``class LassoCV(EstimatorCV, of=Lasso)`` has the parameters of both.

    `l1_ratio` may be a list of values to choose from, as in scikit-learn.
    """

    def __init_subclass__(cls, of=None, **kwargs):
        super().__init_subclass__(**kwargs)
        if of is None:  # a subclass of a named form
            return
        cls._of = of
        search = [
            p for name, p in inspect.signature(PathCV).parameters.items() if name not in {"estimator", "param_grid"}
        ]
        taken = {*_OWN, *(p.name for p in search)}  # eps is the search's: log_sum's is set by a penalty object
        own = [p for name, p in inspect.signature(of).parameters.items() if name not in taken]
        first = [p for p in own if p.kind is p.POSITIONAL_OR_KEYWORD and p.name in {"groups"}]
        rest = [p.replace(kind=p.KEYWORD_ONLY) for p in (*search, *own) if p not in first]
        signature = inspect.Signature([*first, *rest])
        cls._own_names = tuple(p.name for p in own)

        def __init__(self, *args, **params):
            bound = signature.bind(*args, **params)
            bound.apply_defaults()
            for name, value in bound.arguments.items():
                setattr(self, name, value)

        __init__.__signature__ = signature.replace(
            parameters=[inspect.Parameter("self", inspect.Parameter.POSITIONAL_OR_KEYWORD), *first, *rest]
        )
        cls.__init__, cls.__signature__ = __init__, signature
        constraints = {name: PathCV._parameter_constraints[name] for name in (p.name for p in search)}
        for p in own:
            constraints[p.name] = [*of._parameter_constraints[p.name], *(["array-like"] if p.name in _LISTS else [])]
        cls._parameter_constraints = constraints
        cls.__doc__ = _document(cls.__doc__, of)

    @property
    def estimator(self):
        """The estimator whose paths are solved."""
        own = {name: getattr(self, name) for name in self._own_names}
        estimator = self._of(**{name: value for name, value in own.items() if name not in self.param_grid})
        if hasattr(self, "_skl_callbacks"):
            from sklearn.callback import AutoPropagatedCallback  # not above: it loads rich, where that is installed

            # Those that do not pass on: nobody else can set them on an estimator that is made here.
            own = [callback for callback in self._skl_callbacks if not isinstance(callback, AutoPropagatedCallback)]
            estimator.set_callbacks(*own)
        return estimator

    @property
    def param_grid(self):
        """The parameters that were given as lists, and their values."""
        values = {name: getattr(self, name) for name in _LISTS if name in self._own_names}
        return {name: list(value) for name, value in values.items() if hasattr(value, "__len__")}


class _MeanSquaredErrors:
    @property
    def mse_path_(self):
        check_is_fitted(self)
        if self.scoring is not None:
            raise AttributeError(f"mse_path_ is there with scoring=None; got scoring={self.scoring!r}.")
        folds = np.stack([-self.cv_results_[f"split{k}_test_score"] for k in range(self.n_splits_)], axis=-1)
        errors = folds.reshape(-1, len(self.alphas_), self.n_splits_)
        return errors[0] if len(errors) == 1 else errors


class _BestRatio(_MeanSquaredErrors):
    @property
    def l1_ratio_(self):
        check_is_fitted(self)
        return self.best_params_.get("l1_ratio", self.l1_ratio)


def _document(text, of):
    """The docstring of a named form: its summary, and the entries of `PathCV` and of the estimator."""
    search, own = inspect.cleandoc(PathCV.__doc__), inspect.cleandoc(of.__doc__)
    parameters = [
        entry
        for source, left_out in ((search, {"estimator", "param_grid"}), (own, {*_OWN, "eps"}))
        for name, entry in _entries(source, "Parameters", "Attributes")
        if name not in left_out
    ]
    lists = re.compile(rf"^({'|'.join(_LISTS)}) : float")
    parameters = [lists.sub(r"\1 : float or list of float", entry) for entry in parameters]
    attributes = [entry for source in (search, own) for _, entry in _entries(source, "Attributes", "See Also")]
    text, _, example = inspect.cleandoc(text).partition("Examples\n--------\n")
    summary, *further = text.split("Attributes\n----------\n")
    attributes += [entry.strip() for entry in further]
    parts = [summary.strip(), "", "Parameters", "----------", *parameters, "", "Attributes", "----------", *attributes]
    parts += ["", "See Also", "--------", f"{of.__name__} : One alpha.", "PathCV : The search itself.", ""]
    return "\n".join([*parts, "Examples", "--------", example])


def _entries(text, section, following):
    """Names and texts of the entries of a numpydoc section."""
    body = text.split(f"{section}\n{'-' * len(section)}\n")[1].split(f"\n{following}\n")[0]
    entries = re.split(r"\n(?=\S)", body.strip())
    return [(entry.split(" :")[0], entry.rstrip()) for entry in entries]


class LassoCV(_MeanSquaredErrors, EstimatorCV, of=Lasso):
    """Lasso with alpha chosen by cross-validation.

    Attributes
    ----------
    mse_path_ : ndarray of shape (n_alphas, n_folds)
        Mean squared errors of the folds; with scoring=None.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skreg import LassoCV
    >>> model = LassoCV(alphas=20).fit(*load_diabetes(return_X_y=True))
    >>> model.coef_.shape
    (10,)
    """


class ElasticNetCV(_BestRatio, EstimatorCV, of=ElasticNet):
    """Elastic net with alpha, and `l1_ratio` where that is a list, chosen by cross-validation.

    Attributes
    ----------
    mse_path_ : ndarray of shape (n_alphas, n_folds) or (n_l1_ratios, n_alphas, n_folds)
        Mean squared errors of the folds; with scoring=None.
    l1_ratio_ : float
        The `l1_ratio` chosen.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skreg import ElasticNetCV
    >>> model = ElasticNetCV(alphas=20, l1_ratio=[0.1, 0.5, 0.9]).fit(*load_diabetes(return_X_y=True))
    >>> sorted(model.best_params_)
    ['alpha', 'l1_ratio']
    """


class AdaptiveLassoCV(EstimatorCV, of=AdaptiveLasso):
    """Adaptive Lasso with alpha chosen by cross-validation; each fold has a pilot fit of its own.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skreg import AdaptiveLassoCV
    >>> model = AdaptiveLassoCV(alphas=20).fit(*load_diabetes(return_X_y=True))
    >>> model.coef_.shape
    (10,)
    """


class SparseRegressorCV(EstimatorCV, of=SparseRegressor):
    """Sparse regression with any loss and penalty, alpha chosen by cross-validation.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skreg import SparseRegressorCV
    >>> X, y = load_diabetes(return_X_y=True)
    >>> model = SparseRegressorCV(loss="poisson", alphas=20, standardize=True).fit(X, y)
    >>> model.coef_.shape
    (10,)
    """


class SparseClassifierCV(EstimatorCV, of=SparseClassifier):
    """Sparse classification with any loss and penalty, alpha chosen by cross-validation.

    Examples
    --------
    >>> from sklearn.datasets import load_breast_cancer
    >>> from skreg import SparseClassifierCV
    >>> X, y = load_breast_cancer(return_X_y=True)
    >>> model = SparseClassifierCV(alphas=20, standardize=True).fit(X, y)
    >>> bool(model.score(X, y) > 0.95)
    True
    """


class GroupLassoCV(EstimatorCV, of=GroupLasso):
    """Group Lasso with alpha chosen by cross-validation.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skreg import GroupLassoCV
    >>> model = GroupLassoCV(groups=2, alphas=20).fit(*load_diabetes(return_X_y=True))
    >>> model.group_norms_.shape
    (5,)
    """


class SparseGroupLassoCV(EstimatorCV, of=SparseGroupLasso):
    """Sparse-group Lasso with alpha, and `l1_ratio` where that is a list, chosen by cross-validation.

    Examples
    --------
    >>> from sklearn.datasets import load_diabetes
    >>> from skreg import SparseGroupLassoCV
    >>> model = SparseGroupLassoCV(groups=2, alphas=20).fit(*load_diabetes(return_X_y=True))
    >>> model.group_norms_.shape
    (5,)
    """


class MultiTaskLassoCV(_MeanSquaredErrors, EstimatorCV, of=MultiTaskLasso):
    """Multi-task Lasso with alpha chosen by cross-validation.

    Attributes
    ----------
    mse_path_ : ndarray of shape (n_alphas, n_folds)
        Mean squared errors of the folds; with scoring=None.

    Examples
    --------
    >>> from sklearn.datasets import load_linnerud
    >>> from skreg import MultiTaskLassoCV
    >>> model = MultiTaskLassoCV(alphas=20).fit(*load_linnerud(return_X_y=True))
    >>> model.coef_.shape
    (3, 3)
    """


class MultiTaskElasticNetCV(_BestRatio, EstimatorCV, of=MultiTaskElasticNet):
    """Multi-task elastic net with alpha, and `l1_ratio` where that is a list, chosen by cross-validation.

    Attributes
    ----------
    mse_path_ : ndarray of shape (n_alphas, n_folds) or (n_l1_ratios, n_alphas, n_folds)
        Mean squared errors of the folds; with scoring=None.
    l1_ratio_ : float
        The `l1_ratio` chosen.

    Examples
    --------
    >>> from sklearn.datasets import load_linnerud
    >>> from skreg import MultiTaskElasticNetCV
    >>> model = MultiTaskElasticNetCV(alphas=20, l1_ratio=[0.5, 0.9]).fit(*load_linnerud(return_X_y=True))
    >>> model.mse_path_.shape
    (2, 20, 5)
    """
