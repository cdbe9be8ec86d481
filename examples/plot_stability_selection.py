"""
Stability selection: features that no half of the data does without
===================================================================

A model that predicts well may still hold many features that it took by chance. Stability selection asks another
question: which features are chosen again and again, whichever half of the rows one looks at? And it says how many of
those chosen are false, at most, on average.
"""

# %%
# Real features among noise
# -------------------------
# Tumours of 569 patients, described by 30 measurements, are benign or malignant. To these are added 170 columns whose
# values are real measurements too, but shuffled among the patients: they look like the others and mean nothing.

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from sklearn.datasets import load_breast_cancer
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from skreg import GroupLassoClassifier, SparseClassifier, SparseClassifierCV, StabilitySelection
from skreg.inspection import StabilityDisplay

X, y = load_breast_cancer(return_X_y=True, as_frame=True)
rng = np.random.default_rng(0)
shuffled = {f"shuffled {X.columns[k % 30]} ({k // 30})": rng.permutation(X.iloc[:, k % 30]) for k in range(170)}
table = pd.DataFrame(StandardScaler().fit_transform(X.join(pd.DataFrame(shuffled))), columns=[*X.columns, *shuffled])

# %%
# Cross-validation chooses the alpha that predicts best, and with it false features:


def count(names):
    false = sum(name.startswith("shuffled") for name in names)
    return f"{len(names) - false} real features, {false} shuffled"


search = SparseClassifierCV(alphas=30, eps=1e-2).fit(table, y)
print("cross-validation:   ", count(table.columns[(search.coef_ != 0).ravel()]))

# %%
# Stability selection splits the rows into two halves, 25 times, and follows the path on each half until `q_` features
# are in. Those that most halves take are selected. By default `q_` is the largest number at which at most one false
# feature is expected.

selection = StabilitySelection(SparseClassifier(), alphas=50, n_pairs=25, random_state=0).fit(table, y)
print("stability selection:", count(selection.get_feature_names_out()))
print(f"q = {selection.q_}, at most {selection.error_bound_:.2f} false features expected")

fig, (left, right) = plt.subplots(1, 2, figsize=(13, 5), layout="constrained")
StabilityDisplay.from_estimator(selection, ax=left)
StabilityDisplay.from_estimator(selection, ax=right, kind="bars", n_bars=15)
plt.show()

# %%
# On the left, each line is the share of the halves that a feature has entered on as alpha falls. The shuffled columns
# are below the threshold. The bounds, without assumptions and with those that the user guide names:

for name, bound in selection.error_bounds_.items():
    print(f"{name:<12} {bound:.2f}")

# %%
# The selector goes into a pipeline. Selected in each fold anew, the features predict better than all columns do:

chosen = make_pipeline(selection, LogisticRegression())
for name, model in {"selected features": chosen, "all 200 columns": LogisticRegression(max_iter=1000)}.items():
    print(f"{name:<20} accuracy {cross_val_score(model, table, y, cv=3).mean():.3f}")

# %%
# Groups
# ------
# The measurements are much alike, and which of several a half takes is chance, so that each alone is taken less often.
# Where they form a group, the group is selected. Each of the ten measurements comes as mean, error and worst value; one
# group for each, and for each ten of the shuffled columns:

groups = [
    f"shuffled {j // 10}" if name.startswith("shuffled") else name.removeprefix("mean ").removeprefix("worst ")
    for j, name in enumerate(table.columns)
]
groups = [name.removesuffix(" error") for name in groups]
by_group = StabilitySelection(GroupLassoClassifier(groups), q=5, alphas=50, n_pairs=25, random_state=0).fit(table, y)
stable = by_group.group_frequencies_ >= by_group.threshold_
print("groups selected:", ", ".join(by_group.groups_[stable]))

StabilityDisplay.from_estimator(by_group, kind="bars")
plt.show()
