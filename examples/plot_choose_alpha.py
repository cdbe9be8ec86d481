"""
Choosing alpha: the path and its scores side by side
====================================================

How strong should the penalty be? Two pictures answer together. The one shows which features are in the model for each
alpha, the other how well the model predicts rows that it has not seen. Both run from the empty model on the left to the
full one on the right.
"""

# %%
# Ten features
# ------------
# The diabetes data: measurements of 442 patients, and the progress of their disease a year later. `selection="1se"`
# takes the sparsest model whose mean score is within one standard error of the best.

import matplotlib.pyplot as plt
from sklearn.datasets import load_diabetes
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import PolynomialFeatures, StandardScaler

from skreg import GroupLassoCV, LassoCV
from skreg.inspection import CVDisplay, GroupDisplay, PathDisplay, summary

X, y = load_diabetes(return_X_y=True, as_frame=True)
search = LassoCV(selection="1se", cv=10).fit(X, y)

fig, (left, right) = plt.subplots(1, 2, figsize=(12, 4.8), layout="constrained")
PathDisplay.from_estimator(search, ax=left)
CVDisplay.from_estimator(search, ax=right)
left.set_title("Coefficients of the Lasso")
right.set_title("Score on rows held out")
plt.show()

# %%
# The curve of scores is flat on the right: over two decades of alphas, models predict about equally well, and the band
# shows that the differences between them mean little. The rule of one standard error therefore loses little, and the
# wild part of the path, where s1 and s2 grow against each other, is left out. The model chosen, as a table:

table = summary(search, X)
print(table[table.coefficient != 0].round(1).to_string(index=False))

# %%
# Many features
# -------------
# Products up to the third degree of six of the measurements: 83 features with the names that the transformer gives.
# Most lines stay grey. Only the largest at the chosen alpha have names, which are moved apart where lines end close to
# each other.

expand = make_pipeline(StandardScaler(), PolynomialFeatures(3, include_bias=False), StandardScaler())
expand.set_output(transform="pandas")
features = expand.fit_transform(X[["age", "bmi", "bp", "s3", "s5", "s6"]])
print(features.shape)

search = LassoCV(selection="1se", cv=10, eps=1e-2).fit(features, y)

fig, (left, right) = plt.subplots(1, 2, figsize=(12, 4.8), layout="constrained")
PathDisplay.from_estimator(search, ax=left)
CVDisplay.from_estimator(search, ax=right)
left.set_title(f"Coefficients of the Lasso, {features.shape[1]} features")
right.set_title("Score on rows held out")
plt.show()

# %%
# Now the curve of scores turns down on the right, where the model fits the noise.
#
# Groups of features
# ------------------
# The same for groups: one group for all terms of the same measurements.

groups = [" × ".join(sorted({part.split("^")[0] for part in name.split(" ")})) for name in features.columns]
search = GroupLassoCV(groups, selection="1se", cv=10, eps=1e-2).fit(features, y)

fig, (left, right) = plt.subplots(1, 2, figsize=(12, 4.8), layout="constrained")
GroupDisplay.from_estimator(search, ax=left)
GroupDisplay.from_estimator(search.best_estimator_, ax=right)
left.set_title("Norms of the groups")
plt.show()
