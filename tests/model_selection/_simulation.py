"""What rules for alpha select where the truth is known: ``python -m tests.model_selection._simulation`` prints it."""

import numpy as np

import skreg

RULES = {
    "GCV": lambda: skreg.PathIC(skreg.Lasso(), criterion="gcv"),
    "cross-validation": lambda: skreg.PathCV(skreg.Lasso()),
    "cross-validation, 1-SE": lambda: skreg.PathCV(skreg.Lasso(), selection="1se"),
    "BIC": lambda: skreg.PathIC(skreg.Lasso()),
    "AV": lambda: skreg.PathIC(skreg.Lasso(), criterion="av"),
    "SURE": lambda: skreg.PathIC(skreg.Lasso(), criterion="sure"),
    "EBIC 0.5": lambda: skreg.PathIC(skreg.Lasso(), criterion="ebic"),
    "EBIC 1": lambda: skreg.PathIC(skreg.Lasso(), criterion="ebic", ebic_gamma=1.0),
    "AV, threshold": lambda: skreg.PathIC(skreg.Lasso(), criterion="av", threshold=True),
    "square-root Lasso": lambda: skreg.SqrtLasso(),
    "BIC, relaxed": lambda: skreg.PathIC(skreg.Lasso(), relaxed=1.0),
    "EBIC 0.5, relaxed": lambda: skreg.PathIC(skreg.Lasso(), criterion="ebic", relaxed=1.0),
}
COLUMNS = "squared error", "true positives", "false discoveries", "features"


def draw(seed, n=120, p=400, k=8, rho=0.5):
    """Neighbouring features correlated by 0.5; eight coefficients of 0.5 to 2 and either sign; noise of variance 1."""
    rng = np.random.default_rng(seed)
    X = rng.standard_normal((n, p))
    for j in range(1, p):
        X[:, j] = rho * X[:, j - 1] + np.sqrt(1 - rho**2) * X[:, j]
    w = np.zeros(p)
    w[rng.choice(p, k, replace=False)] = rng.choice([-1, 1], k) * rng.uniform(0.5, 2.0, k)
    return X, X @ w + rng.standard_normal(n), w


def quality(coef, truth):
    """Squared error, share of the true features found, share of those found that are not true, their number."""
    found, true = coef != 0, truth != 0
    wrong = np.sum(found & ~true) / max(found.sum(), 1)
    return np.sum((coef - truth) ** 2), np.sum(found & true) / true.sum(), wrong, found.sum()


def table(n_seeds):
    """Means over data sets, one row a rule."""
    data = [draw(seed) for seed in range(n_seeds)]
    return {
        name: np.mean([quality(rule().fit(X, y).coef_, w) for X, y, w in data], axis=0) for name, rule in RULES.items()
    }


if __name__ == "__main__":
    print(f"{'':24}", *(f"{column:>18}" for column in COLUMNS))
    for name, row in table(50).items():
        print(f"{name:24}", *(f"{value:18.2f}" for value in row))
