"""Scikit-learn's test_coordinate_descent.py, run against skreg's Lasso, ElasticNet, multi-task forms and searches."""

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
    "test_multitask_enet_and_lasso_cv": (
        "asks for one row of alphas_ for each l1_ratio; alphas_ are those of the l1_ratio chosen, as mean_score_"
    ),
    "test_uniform_targets": "a constant target leaves no grid: 1e-15 throughout in scikit-learn, 2e-308 in skreg",
    "test_enet_l1_ratio": "skreg has a grid for l1_ratio=0, that of 0.001; no error",
    "test_lassoCV_does_not_set_precompute": "no precompute, and the final model is no Lasso().fit: it is on the path",
    "test_cv_estimators_reject_params_with_no_routing_enabled": "groups are taken with and without routing",
}

SLOW = {"test_enet_cv_sample_weight_consistency", "test_linear_models_cv_fit_with_loky"}

globals().update(scikit_learns_tests("test_coordinate_descent.py", NOT_APPLICABLE, SLOW))
