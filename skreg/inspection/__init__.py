"""Pictures and tables of models, in the manner of scikit-learn's displays. Matplotlib is imported when one is drawn."""

from skreg.inspection._cv import CVDisplay
from skreg.inspection._path import GroupDisplay, PathDisplay
from skreg.inspection._stability import StabilityDisplay
from skreg.inspection._summary import summary

__all__ = ["CVDisplay", "GroupDisplay", "PathDisplay", "StabilityDisplay", "summary"]
