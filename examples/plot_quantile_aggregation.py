"""
Aggregation: several quantile models, better than the best of them
==================================================================

Which quantile model is best? Often none: one knows the trend, another the noise. `QuantileAggregator` trains all of
them, looks at their forecasts of rows that they have not seen, and finds the weights whose combination has the best
score.
"""

# %%
# Data with a trend that is not linear, and noise that grows in one direction and is skewed. Three models, none of which
# is made for all of that: linear quantiles, linear quantiles of curved features, and boosted trees.

import matplotlib.pyplot as plt
import numpy as np
from sklearn.ensemble import GradientBoostingRegressor
from sklearn.model_selection import train_test_split
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import SplineTransformer

from skreg import QuantileAggregator, QuantileRegressor
from skreg.metrics import weighted_interval_score

rng = np.random.default_rng(0)
X = rng.uniform(-1, 1, (1000, 5))
noise = (0.3 + 0.6 * (X[:, 1] > 0)) * (rng.gamma(2.0, size=len(X)) - 2.0)
y = 3.0 * X[:, 0] + 2.0 * np.sin(3.0 * X[:, 1]) + 2.0 * np.abs(X[:, 2]) + 3.0 * X[:, 3] * X[:, 4] + noise
X_train, X_test, y_train, y_test = train_test_split(X, y, test_size=0.5, random_state=0)

levels = np.arange(1, 10) / 10
models = [
    ("linear", QuantileRegressor(penalty=None)),
    ("splines", make_pipeline(SplineTransformer(n_knots=5), QuantileRegressor(alpha=1e-3))),
    ("boosting", GradientBoostingRegressor(loss="quantile", n_estimators=60, random_state=0)),
]
fine = QuantileAggregator(models, levels, resolution="fine").fit(X_train, y_train)

# %%
# Scores on test data: the models, their plain average, and weights of three resolutions. Coarse weights are one a
# model. Medium ones differ from level to level. Fine ones let every level of every model inform every level, and so can
# also widen or narrow the models' distributions.

forecasts = np.stack([model.predict_quantiles(X_test) for model in fine.estimators_], axis=1)
bands = {name: forecasts[:, j] for j, (name, _) in enumerate(models)}
bands["average"] = forecasts.mean(axis=1)
for resolution in ("coarse", "medium"):
    model = QuantileAggregator(models, levels, resolution=resolution).fit(X_train, y_train)
    bands[resolution] = model.predict_quantiles(X_test)
bands["fine"] = fine.predict_quantiles(X_test)
scores = {name: weighted_interval_score(y_test, np.sort(q, axis=1), levels) for name, q in bands.items()}

fig, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), layout="constrained")
colors = ["tab:gray"] * 4 + ["tab:blue"] * 3
bars = left.barh(list(scores), list(scores.values()), color=colors)
left.bar_label(bars, fmt="%.3f", padding=3)
left.invert_yaxis()
left.set(xlabel="Weighted interval score on test data (smaller is better)", xlim=(0, 1.15 * max(scores.values())))

share = fine.weights_.reshape(len(levels), -1)
image = right.imshow(share, cmap="Blues", vmin=0, aspect="auto")
fig.colorbar(image, label="Weight")
right.set_yticks(range(len(levels)), [f"{level:.1f}" for level in levels])
right.set_xticks(4 + 9 * np.arange(3), [f"{name}\n0.1 to 0.9" for name, _ in models])
for j in (1, 2):
    right.axvline(9 * j - 0.5, color="black", linewidth=0.8)
right.set(ylabel="Level that is predicted", title="Fine weights: who informs each level")
plt.show()

# %%
# The weights are the optimum of a linear program, with its certificate: no others have a score on the out-of-fold
# forecasts that is smaller by more than this share of it.

print(f"{fine.dual_gap_:.0e}")
