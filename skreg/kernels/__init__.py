"""Compiled inner loops: quadratic subproblems only, each specialised to a penalty by `specialize`."""
