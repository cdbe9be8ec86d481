"""The tour of ``python -m skreg``: its table fits, and its models are certified."""

import pytest

from skreg import _tour


@pytest.fixture(scope="module")
def cases():
    return _tour.cases()


def test_names_fit_their_column(cases):
    width = _tour.HEADER.index("score")
    names = [_tour.label(case.model) for case in cases]
    names += [_tour.peer_label(case) for case in cases if case.peer is not None]
    assert max(map(len, names)) < width


def test_every_skreg_model_is_certified(cases):
    for case in cases:
        result = _tour.run(case.model, case)
        assert result.converged
        if case.score_name == "D2 at 0.9":  # an upper quantile leaves much of its loss: as good as the counterpart
            assert result.score == pytest.approx(_tour.run(case.peer, case).score, abs=1e-3)
        else:
            assert result.score > 0.2


def test_the_group_model_selects_quantities_as_wholes(cases):
    (case,) = [case for case in cases if hasattr(getattr(case.model, "estimator", None), "groups")]
    model = _tour.run(case.model, case).model.best_estimator_
    assert len(model.groups_) == 10
    assert 0 < len(model.selected_groups_) < 10  # by the one-standard-error rule
    for name, columns in zip(model.groups_, model.group_columns_):
        chosen = model.coef_[0, columns] != 0
        assert len(columns) == 3
        assert chosen.all() if name in model.selected_groups_ else not chosen.any()
