"""Scikit-learn's test_coordinate_descent.py, run against skreg's Lasso, ElasticNet and their multi-task forms."""

from tests.sklearn_suite._alias import scikit_learns_tests

NOT_APPLICABLE = {
    "test_enet_nonfinite_params": (
        "asks for an error of the Cython solver's where X'X overflows; skreg gives finite parameters and a warning"
    ),
    "test_lasso_dual_gap": "dual_gap_ is relative to the null model's in skreg, absolute in scikit-learn",
    "test_lasso_alpha_warning": "alpha=0 needs no warning: skreg solves it to the same certificate",
    "test_elasticnet_precompute_incorrect_gram": "no precompute: there is no Gram matrix to check",
    "test_overridden_gram_matrix": "no precompute: there is no Gram matrix to override",
    "test_check_input_false": "no check_input: input is always checked, and never gives a false computation",
    "test_enet_copy_X_False_check_input_False": "no copy_X: X is never overwritten",
    "test_warm_start_convergence": "asks for n_iter_ == 0; skreg counts the pass that certifies the start",
    "test_warm_start_convergence_with_regularizer_decrement": (
        "compares sweeps of coordinate descent; passes over the data do not grow as alpha falls"
    ),
}

globals().update(scikit_learns_tests("test_coordinate_descent.py", NOT_APPLICABLE))
