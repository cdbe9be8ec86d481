"""Conformal calibration of predicted quantiles."""

from itertools import pairwise
from numbers import Integral, Real

import numpy as np
from sklearn import get_config
from sklearn.base import BaseEstimator, MetaEstimatorMixin, RegressorMixin, _fit_context
from sklearn.model_selection import KFold, ShuffleSplit, check_cv
from sklearn.utils import check_random_state, get_tags
from sklearn.utils.metadata_routing import MetadataRouter, MethodMapping, process_routing
from sklearn.utils.parallel import Parallel, delayed
from sklearn.utils.validation import check_is_fitted, column_or_1d, validate_data

from skreg._backend import Interval, StrOptions, safe_indexing, to_numpy
from skreg._quantiles import are_symmetric, central_level, check_levels, same_level
from skreg.quantile._adapter import QuantileAdapter, is_frozen
from skreg.quantile._isotonic import isotonize
from skreg.quantile._quantile_regressor import QuantileRegressor
