"""Folds on a Dask cluster: joblib's backend for it, and loky's results."""

import joblib
import numpy as np

import skreg
from skreg.model_selection import PathCV
from tests._instances import make_data


def test_folds_on_a_dask_cluster_have_the_results_of_loky():
    import distributed

    model = skreg.SparseRegressor(loss="poisson", tol=1e-10)
    X, y = make_data(model, n_samples=60)
    weight = np.random.default_rng(0).uniform(0.5, 2, 60)

    def search():
        return PathCV(model, alphas=5, cv=3, n_jobs=2).fit(X, y, sample_weight=weight)

    with joblib.parallel_config(backend="loky"):
        by_loky = search()
    cluster = distributed.LocalCluster(n_workers=2, threads_per_worker=1, dashboard_address=None)
    with cluster, distributed.Client(cluster):
        with joblib.parallel_config(backend="dask"):
            by_dask = search()
        done = [step for step in cluster.scheduler.transition_log if step[2] == "memory"]
        assert len(done) >= 3  # the cluster's workers did it
    for k in range(3):
        name = f"split{k}_test_score"
        np.testing.assert_array_equal(by_dask.cv_results_[name], by_loky.cv_results_[name])
    np.testing.assert_array_equal(by_dask.coef_, by_loky.coef_)
