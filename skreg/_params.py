"""Small value objects (losses, penalties, solvers) that scikit-learn can clone, compare and search over."""

import inspect


class Parameterised:
    """Base of objects that are nothing but their constructor's arguments.

    ``__init__`` of a subclass only assigns its arguments; in return it gets ``get_params`` and ``set_params`` (so that
    ``GridSearchCV`` reaches ``loss__delta``), equality by value, and a ``repr`` that can be typed back.
    """

    @classmethod
    def _parameter_names(cls):
        if cls.__init__ is object.__init__:
            return []
        return [name for name in inspect.signature(cls).parameters]

    def get_params(self, deep=True):
        """Parameters of this object as a dict."""
        return {name: getattr(self, name) for name in self._parameter_names()}

    def set_params(self, **params):
        """Set parameters by name; an unknown name raises ValueError."""
        for name, value in params.items():
            if name not in self._parameter_names():
                raise ValueError(f"{type(self).__name__} has no parameter {name!r}; it has {self._parameter_names()}.")
            setattr(self, name, value)
        return self

    def __repr__(self):
        arguments = ", ".join(f"{name}={value!r}" for name, value in self.get_params().items())
        return f"{type(self).__name__}({arguments})"

    def __eq__(self, other):
        return type(self) is type(other) and self.get_params() == other.get_params()

    def __hash__(self):
        return hash((type(self), tuple(self.get_params().items())))
