from skreg import losses as losses
from skreg import model_selection as model_selection
from skreg import penalties as penalties
from skreg import solvers as solvers
from skreg._transformer_groups import groups_from_transformer as groups_from_transformer
from skreg.group import GroupLasso as GroupLasso
from skreg.group import GroupLassoClassifier as GroupLassoClassifier
from skreg.group import MultiTaskElasticNet as MultiTaskElasticNet
from skreg.group import MultiTaskLasso as MultiTaskLasso
from skreg.group import SparseGroupLasso as SparseGroupLasso
from skreg.group import SparseGroupLassoClassifier as SparseGroupLassoClassifier
from skreg.sparse import AdaptiveLasso as AdaptiveLasso
from skreg.sparse import ElasticNet as ElasticNet
from skreg.sparse import Lasso as Lasso
from skreg.sparse import SparseClassifier as SparseClassifier
from skreg.sparse import SparseRegressor as SparseRegressor

__version__: str
