"""
Sparse logistic regression on text-like data
============================================

A term-document matrix has many more columns than rows, and nearly all of its entries are zero. An L1 penalty picks the
terms that tell two classes apart. The matrix stays sparse all the way: nothing is centred or copied into a dense array.

Corpora have to be downloaded, so we generate one with the same traits: term frequencies that fall with rank (Zipf's
law), documents of unequal length, tf-idf weights, and a few terms that are more frequent in one of the classes.
"""

# %%
# A corpus
# --------

import time

import matplotlib.pyplot as plt
import numpy as np
import scipy.sparse as sp
from sklearn.feature_extraction.text import TfidfTransformer
from sklearn.model_selection import train_test_split

from skreg import SparseClassifier
from skreg.model_selection import regularization_path

rng = np.random.default_rng(0)
n_documents, n_terms, n_telling = 4000, 20_000, 40

syllables = [c + v for c in "bdfgklmnprstv" for v in "aeiou"]
places = rng.choice(len(syllables) ** 3, n_terms, replace=False)
terms = np.array(["".join(syllables[(k // len(syllables) ** i) % len(syllables)] for i in range(3)) for k in places])

frequency = 1.0 / np.arange(10, n_terms + 10)
telling = rng.choice(np.arange(20, 1000), n_telling, replace=False)
tilt = np.zeros(n_terms)
tilt[telling] = rng.uniform(0.5, 1.5, n_telling) * rng.choice([-1, 1], n_telling)

y = rng.integers(2, size=n_documents)
lengths = rng.lognormal(4.6, 0.6, n_documents).astype(int) + 10
rows, columns = [], []
for label in (0, 1):
    probability = frequency * np.exp(tilt if label else -tilt)
    documents = np.flatnonzero(y == label)
    rows.append(np.repeat(documents, lengths[documents]))
    columns.append(rng.choice(n_terms, lengths[documents].sum(), p=probability / probability.sum()))
ones = np.ones(lengths.sum())
counts = sp.csr_array((ones, (np.concatenate(rows), np.concatenate(columns))), shape=(n_documents, n_terms))
counts.sum_duplicates()
y = np.where(rng.random(n_documents) < 0.03, 1 - y, y)  # some labels are wrong, as they are in life

train, test, y_train, y_test = train_test_split(counts, y, random_state=0)
tfidf = TfidfTransformer(sublinear_tf=True).fit(train)
X_train, X_test = tfidf.transform(train).tocsc(), tfidf.transform(test).tocsc()
print(f"{X_train.shape[0]} documents, {X_train.shape[1]} terms, {X_train.nnz / np.prod(X_train.shape):.2%} non-zero")
sparse_bytes = X_train.data.nbytes + X_train.indices.nbytes + X_train.indptr.nbytes
print(f"sparse: {sparse_bytes / 1e6:.0f} MB; the same dense: {np.prod(X_train.shape) * 8 / 1e6:.0f} MB")

# %%
# A path of models
# ----------------
# One warm-started sweep gives the models for all alphas, each with its duality gap.

start = time.perf_counter()
path = regularization_path(SparseClassifier(), X_train, y_train, alphas=40, eps=0.01)
seconds = time.perf_counter() - start
accuracy = np.mean(path.predict(X_test) == y_test, axis=1)
best = int(np.argmax(accuracy))
print(f"{len(path.alphas)} models in {seconds:.1f} s (with compiling); largest relative gap {path.dual_gaps.max():.0e}")
print(f"best on the documents held out: {accuracy[best]:.3f} with {path.df[best]} terms")

# %%
# Score against sparsity, and the terms
# -------------------------------------
# Right: the largest coefficients of the model with the best score. Filled bars are terms that truly differ between the
# classes; an empty bar would be a mistake.

plt.rcParams.update({"font.size": 11, "axes.spines.top": False, "axes.spines.right": False})
blue, orange = "#0072B2", "#D55E00"
fig, (left, right) = plt.subplots(1, 2, figsize=(10, 7.5), layout="constrained", width_ratios=[1.1, 1])

kept = path.df > 0
found = np.array([np.isin(np.flatnonzero(coef), telling).sum() for coef in path.coefs])
left.plot(path.df[kept], accuracy[kept], "o-", color=blue, lw=2, ms=4, label="accuracy, held out")
left.plot(path.df[kept], found[kept] / n_telling, "s--", color=orange, lw=1.5, ms=4, label="share of true terms found")
left.plot(path.df[best], accuracy[best], "o", mfc="none", mec="black", ms=13, mew=1.5)
left.set(
    xscale="log", xlabel="terms in the model", ylim=(0, 1.05), ylabel="share", title="Few terms do most of the work"
)
left.set_xticks([2, 5, 10, 20, 50, 100, 200, 500, 1000], labels=[2, 5, 10, 20, 50, 100, 200, 500, 1000])
left.minorticks_off()
left.axvline(n_telling, color="0.6", lw=1, ls=":")
left.annotate("true number", (n_telling, 0.12), xytext=(5, 0), textcoords="offset points", color="0.35")
left.legend(frameon=False, loc="upper left")

coef = path.coefs[best]
order = np.argsort(-np.abs(coef))[:40]
order = order[np.argsort(coef[order])]
true = np.isin(order, telling)
colour = np.where(coef[order] > 0, blue, orange)
bars = right.barh(np.arange(len(order)), coef[order], color=colour, edgecolor=colour, lw=1.2)
for bar, filled in zip(bars, true):
    if not filled:
        bar.set_facecolor("white")
right.axvline(0, color="0.5", lw=0.8)
right.set_yticks(np.arange(len(order)), terms[order], fontsize=8.5)
right.set(xlabel="coefficient (positive: class 1)", title="The largest coefficients")
plt.show()
