"""Scikit-learn's test_sparse_coordinate_descent.py, run against skreg's Lasso and ElasticNet."""

from tests.sklearn_suite._alias import scikit_learns_tests

NOT_APPLICABLE = {}

globals().update(scikit_learns_tests("test_sparse_coordinate_descent.py", NOT_APPLICABLE))
