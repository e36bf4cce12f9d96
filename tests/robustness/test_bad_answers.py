"""What a fit refuses to be asked, in one clear sentence each."""

import numpy as np
import pytest

import partialpool as pp


def test_predictions_that_do_not_fit_in_memory(monkeypatch):
    fit = pp.fit("y ~ 1", {"y": np.arange(20.0)}, draws=100, warmup=100, seed=1)
    needed = 1.1 * 8 * 400 * 20 / 0.75  # a tenth more than the numbers, of three quarters of all
    monkeypatch.setattr("partialpool.memory.machine_memory", lambda: needed - 1)
    expected = r"draw of all 20 rows would be kept, .*: ask for fewer with `draws=`, or for fewer"
    with pytest.raises(pp.InputError, match=expected):
        fit.posterior_predictive()
    assert fit.posterior_predictive(draws=99).shape == (4, 99, 20)
