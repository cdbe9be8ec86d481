"""The two faces of linear models, whatever their penalty: regression with any loss, and classification."""

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.metaestimators import available_if
from sklearn.utils.multiclass import check_classification_targets

from skreg._backend import get_namespace, get_namespace_and_device, is_numpy, move_to, to_numpy
from skreg._base import check_sample_weight
from skreg.losses import LOSSES, Multinomial

REGRESSION = {name for name, loss in LOSSES.items() if not loss.classifier}
CLASSIFICATION = {name for name, loss in LOSSES.items() if loss.classifier}


def _has_probabilities(self):
    if getattr(self._named_loss(), "name", "") in {"logistic", "multinomial"}:
        return True
    raise AttributeError(f"loss={self.loss!r} has no probabilities; use 'logistic' or 'multinomial'.")


class LinearRegressor(RegressorMixin):
    """Predictions through the inverse link of the loss; left of `SparseLinearModel`, with a parameter `loss`."""

    def predict(self, X, offset=None):
        """Mean of the target: the linear predictor through the inverse link of the loss.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Samples.
        offset : array-like of shape (n_samples,), default=None
            Known part of the linear predictor.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Predictions in the units of y.
        """
        eta = self._linear_predictor(X, offset)
        xp, _ = get_namespace(eta)
        return self._loss().inverse_link(eta, xp)

    def _loss(self):
        loss = super()._loss()
        if loss.classifier:
            raise ValueError(f"loss={self.loss!r} is for classes; use {self._counterpart}.")
        return loss

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        loss = self.loss if isinstance(self.loss, str) else getattr(self.loss, "name", "")
        tags.target_tags.positive_only = loss in {"poisson", "gamma", "tweedie"}
        return tags


class LinearClassifier(ClassifierMixin):
    """Classes and probabilities; left of `SparseLinearModel`, with parameters `loss` and `class_weight`."""

    def _pose(self, X, y, sample_weight=None, offset=None):
        X, y = self._validate(X, y)
        check_classification_targets(y)
        xp, _, device = get_namespace_and_device(X)
        if not (is_numpy(xp) and isinstance(y, np.ndarray)):  # NumPy's own may hold strings, which move nowhere
            y = move_to(y, xp=xp, device=device)
        weight = check_sample_weight(sample_weight, X)
        y_kept = y[weight > 0]
        classes = np.unique(y_kept) if is_numpy(xp) else xp.sort(xp.unique_values(y_kept))
        n_classes = classes.shape[0]
        if n_classes < 2:
            raise ValueError(
                f"{type(self).__name__} needs at least 2 classes in y with positive sample_weight; the data contains "
                f"only one class: {to_numpy(classes).tolist()[0]!r}."
            )
        if self.class_weight is not None:
            weight = xp.asarray(self._class_weighted(y, classes, weight), device=device)
        n_outputs = n_classes if self._loss_for(n_classes).multi_output else 1
        if n_outputs > 1:
            target = xp.astype(y[:, None] == classes[None, :], xp.float64)
        else:
            target = xp.astype(y == classes[1], xp.float64)
        prepared = self._prepare(X, target, weight, offset, n_outputs)
        prepared.fitted["classes_"] = classes
        return prepared

    def _class_weighted(self, y, classes, weight):
        """Sample weights times class weights, on the host; rows of weight 0 belong to no class."""
        y, classes, weight = to_numpy(y), to_numpy(classes), to_numpy(weight)
        kept = weight > 0
        factors = compute_class_weight(self.class_weight, classes=classes, y=y[kept], sample_weight=weight[kept])
        if not (np.isfinite(factors).all() and (factors > 0).all()):
            raise ValueError(f"class_weight must give each class a positive, finite weight; got {self.class_weight!r}.")
        result = np.zeros(len(y))
        result[kept] = weight[kept] * factors[np.searchsorted(classes, y[kept])]
        return result

    def _named_loss(self):
        return LOSSES[self.loss]() if isinstance(self.loss, str) and self.loss in LOSSES else self.loss

    def _loss_for(self, n_outputs):
        loss = self._loss()
        if not loss.classifier:
            raise ValueError(f"loss={self.loss!r} is not for classes; use {self._counterpart}.")
        if n_outputs > 2 and not loss.multi_output:
            if loss.name != "logistic":
                raise ValueError(
                    f"Only binary classification is supported by loss={self.loss!r}; y has {n_outputs} classes."
                )
            return Multinomial()
        return loss

    def _set_coefficients(self, coef, intercept):
        if coef.ndim == 1:
            xp, _, device = get_namespace_and_device(coef)
            coef = coef[None, :]
            intercept = xp.asarray([intercept], dtype=coef.dtype, device=device)
        super()._set_coefficients(coef, intercept)

    def decision_function(self, X, offset=None):
        """Linear predictor of each class; for two classes, that in favour of ``classes_[1]``.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Samples.
        offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            Known part of the linear predictor.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Scores, positive in favour of ``classes_[1]`` for two classes.
        """
        return self._scores(X, offset, "decision_function")

    def _scores(self, X, offset, method):
        eta = self._linear_predictor(X, offset, method)
        if eta.shape[1] == 1:
            return eta[:, 0]
        return eta[:, 1] - eta[:, 0] if eta.shape[1] == 2 else eta

    def predict(self, X, offset=None):
        """Most likely class of each sample.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Samples.
        offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            Known part of the linear predictor.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Classes.
        """
        scores = self._scores(X, offset, "predict")
        xp, _ = get_namespace(scores)
        best = xp.astype(scores > 0, xp.int64) if scores.ndim == 1 else xp.argmax(scores, axis=1)
        return xp.take(self.classes_, best, axis=0)

    @available_if(_has_probabilities)
    def predict_proba(self, X, offset=None):
        """Probability of each class.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Samples.
        offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            Known part of the linear predictor.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Rows sum to one, in the order of `classes_`.
        """
        eta = self._linear_predictor(X, offset, "predict_proba")
        xp, _ = get_namespace(eta)
        if eta.shape[1] > 1:
            return Multinomial().inverse_link(eta, xp)
        positive = self._named_loss().inverse_link(eta[:, 0], xp)
        return xp.stack([1.0 - positive, positive], axis=1)

    @available_if(_has_probabilities)
    def predict_log_proba(self, X, offset=None):
        """Logarithm of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Samples.
        offset : array-like of shape (n_samples,) or (n_samples, n_classes), default=None
            Known part of the linear predictor.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            Log-probabilities in the order of `classes_`; finite where a probability rounds to 0.
        """
        eta = self._linear_predictor(X, offset, "predict_log_proba")
        xp, _ = get_namespace(eta)
        if eta.shape[1] == 1:
            eta = xp.concat([xp.zeros_like(eta), eta], axis=1)
        eta = eta - xp.max(eta, axis=1, keepdims=True)
        return eta - xp.log(xp.sum(xp.exp(eta), axis=1, keepdims=True))

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_class = getattr(self._named_loss(), "name", "logistic") in {
            "logistic",
            "multinomial",
        }
        return tags
