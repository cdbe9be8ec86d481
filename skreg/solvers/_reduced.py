"""Second derivatives of a loss, restricted to the subspace of a `Structure`: in residual form and in Gram form.

A point is a vector of coefficients together with its image, from which products with H = X' diag(s loss'') X (columns
centred where there is an intercept) are made.
"""
