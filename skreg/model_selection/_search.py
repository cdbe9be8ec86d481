"""What searches along paths share: the estimator inside, and the chosen model that they stand for once fitted."""

from sklearn.base import BaseEstimator, MetaEstimatorMixin
from sklearn.utils import get_tags
from sklearn.utils.metaestimators import available_if
from sklearn.utils.validation import check_is_fitted

from skreg._base import fitted_attributes


def delegated(name):
    """Whether the estimator has the method; for `available_if`."""

    def check(self):
        model = getattr(self, "best_estimator_", None) or self.estimator
        getattr(model, name)
        return True

    return check


class PathSearch(MetaEstimatorMixin, BaseEstimator):
    """Base of the searches: a parameter `estimator`, and `best_estimator_` once fitted, whose methods are theirs."""

    def _take_attributes(self, model):
        own = set(vars(self))
        vars(self).update({name: value for name, value in fitted_attributes(model).items() if name not in own})

    def _call(self, method, X, *args, **kwargs):
        self._check_refitted(method)
        return getattr(self.best_estimator_, method)(X, *args, **kwargs)

    def _check_refitted(self, method):
        check_is_fitted(self)
        check_is_fitted(self, "best_estimator_", msg=f"{method} needs the final model, which refit=False does not fit.")

    @available_if(delegated("predict"))
    def predict(self, X, offset=None):
        """Predictions of the model chosen.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Samples.
        offset : array-like of shape (n_samples,), default=None
            Known part of the linear predictor.

        Returns
        -------
        y_pred : ndarray of shape (n_samples,)
            Predictions.
        """
        return self._call("predict", X, offset)

    @available_if(delegated("predict_proba"))
    def predict_proba(self, X, offset=None):
        """Probabilities of the classes by the model chosen.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Samples.
        offset : array-like of shape (n_samples,), default=None
            Known part of the linear predictor.

        Returns
        -------
        probabilities : ndarray of shape (n_samples, n_classes)
            Rows sum to one.
        """
        return self._call("predict_proba", X, offset)

    @available_if(delegated("predict_log_proba"))
    def predict_log_proba(self, X, offset=None):
        """Logarithm of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Samples.
        offset : array-like of shape (n_samples,), default=None
            Known part of the linear predictor.

        Returns
        -------
        log_probabilities : ndarray of shape (n_samples, n_classes)
            Log-probabilities.
        """
        return self._call("predict_log_proba", X, offset)

    @available_if(delegated("decision_function"))
    def decision_function(self, X, offset=None):
        """Scores of the model chosen.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Samples.
        offset : array-like of shape (n_samples,), default=None
            Known part of the linear predictor.

        Returns
        -------
        scores : ndarray of shape (n_samples,) or (n_samples, n_classes)
            Scores.
        """
        return self._call("decision_function", X, offset)

    @available_if(delegated("score"))
    def score(self, X, y, sample_weight=None):
        """Score of the model chosen.

        Parameters
        ----------
        X : {array-like, sparse matrix, sparse array} of shape (n_samples, n_features)
            Samples.
        y : array-like of shape (n_samples,)
            Target.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the samples.

        Returns
        -------
        score : float
            Larger is better: R² of regressors, accuracy of classifiers.
        """
        return self._call("score", X, y, sample_weight=sample_weight)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        inner = get_tags(self.estimator)
        tags.estimator_type = inner.estimator_type
        tags.classifier_tags, tags.regressor_tags = inner.classifier_tags, inner.regressor_tags
        tags.target_tags = inner.target_tags
        several = not inner.target_tags.single_output
        tags.target_tags.multi_output, tags.target_tags.single_output = several, not several
        tags.input_tags.sparse = inner.input_tags.sparse
        return tags
