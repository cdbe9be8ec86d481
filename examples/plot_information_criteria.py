"""
Information criteria: choosing alpha from one path
==================================================

Cross-validation solves a path in every fold. An information criterion needs only the path on the whole data: it takes
the fit of each model and adds a price for its degrees of freedom. What differs is the price.
"""

# %%
# Fit and price
# -------------
# The diabetes data with all products of two measurements: 64 features for 442 patients, of which few matter. For each
# criterion its curve along the path, above its least value, and the alpha chosen. AIC takes 2 for every feature, BIC
# :math:`\log n`, EBIC :math:`\log n + \log p`: the higher the price, the larger the alpha.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_breast_cancer, load_diabetes
from sklearn.model_selection import cross_val_score
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from skreg import ElasticNet, Lasso, PathCV, PathIC, SparseClassifier, SqrtLasso

X, y = load_diabetes(return_X_y=True, as_frame=True)
expand = PolynomialFeatures(2, include_bias=False).set_output(transform="pandas")
X = expand.fit_transform(X).drop(columns="sex^2")  # which is a function of sex
X = StandardScaler().set_output(transform="pandas").fit_transform(X)

PRICED = {"aic": "AIC", "bic": "BIC", "ebic": "EBIC"}
STYLES = {"aic": ("#0072B2", "-", "o"), "bic": ("#D55E00", "--", "s"), "ebic": ("#009E73", "-.", "^")}


def draw(ax, searches):
    """Curves of criteria above their least values, with the models chosen."""
    for name, search in searches.items():
        color, line, marker = STYLES[name]
        above = search.criterion_ - search.criterion_.min()
        n_features = np.count_nonzero(search.coef_)
        ax.plot(search.alphas_, above, line, color=color, label=f"{PRICED[name]}: {n_features} features")
        ax.plot(search.alpha_, 0.0, marker, color=color, markersize=9, clip_on=False, zorder=3)
        ax.axvline(search.alpha_, color=color, linestyle=line, linewidth=0.8, alpha=0.6)
    ax.set_xscale("log")
    ax.invert_xaxis()
    ax.set(xlabel="alpha", ylabel="criterion above its least value", ylim=(0, 100))
    ax.legend(loc="upper right", framealpha=1.0, edgecolor="white")


searches = {name: PathIC(Lasso(), criterion=name).fit(X, y) for name in PRICED}

fig, (left, right) = plt.subplots(1, 2, figsize=(12, 4.6), layout="constrained")
draw(left, searches)
left.set_title("Lasso, diabetes with products")
aic = searches["aic"]
right.plot(aic.alphas_, aic.df_path_, color="black", label="Lasso: features in the model")
net = PathIC(ElasticNet(l1_ratio=0.5), criterion="aic").fit(X, y)
right.plot(net.alphas_, (net.coef_path_ != 0).sum(axis=1), ":", color="#CC79A7", label="elastic net: features")
right.plot(net.alphas_, net.df_path_, "--", color="#CC79A7", label="elastic net: degrees of freedom")
right.set_xscale("log")
right.invert_xaxis()
right.set(xlabel="alpha", ylabel="number", title="Degrees of freedom")
right.legend(frameon=False, loc="upper left")
plt.show()

# %%
# On the right, what is counted. Every feature of a Lasso is worth one degree of freedom, however much its coefficient
# is shrunk. Those of an elastic net are worth less, since its squared norm shrinks larger fits more; the trace formula
# says how much.
#
# The models chosen
# -----------------
# EBIC is the rule for selection. `relaxed=1.0` then takes the shrinkage away, which the penalty needed for selecting
# alone. Scores are those of nested cross-validation: each rule chooses anew in each of ten folds.

rules = {
    "EBIC": PathIC(Lasso(), criterion="ebic"),
    "EBIC, relaxed": PathIC(Lasso(), criterion="ebic", relaxed=1.0),
    "BIC": PathIC(Lasso(), criterion="bic"),
    "AIC": PathIC(Lasso(), criterion="aic"),
    "GCV": PathIC(Lasso(), criterion="gcv"),
    "cross-validation": PathCV(Lasso(), cv=10),
    "square-root Lasso": SqrtLasso(),
}
for name, rule in rules.items():
    score = cross_val_score(rule, X, y, cv=10).mean()
    print(f"{name:18} {np.count_nonzero(rule.fit(X, y).coef_):3} features, R² {score:.3f}")

# %%
# AIC and GCV choose the model that cross-validation chooses, from one path in place of eleven. EBIC makes do with a
# quarter of the features, and predicts hardly worse once relaxed. The square-root Lasso was given no rule at all: its
# alpha follows from the numbers of rows and columns alone. EBIC's features:

print(", ".join(X.columns[searches["ebic"].coef_ != 0]))

# %%
# Classes
# -------
# For other losses the deviance stands in place of the sum of squares. The breast cancer data, logistic regression:

X, y = load_breast_cancer(return_X_y=True)
classifier = SparseClassifier(standardize=True)
searches = {name: PathIC(classifier, criterion=name).fit(X, y) for name in PRICED}

fig, ax = plt.subplots(figsize=(7, 4.6), layout="constrained")
draw(ax, searches)
ax.set_title("Sparse logistic regression, breast cancer")
plt.show()
