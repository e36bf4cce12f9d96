# ruff: noqa: E402 (imports are timed)
"""Fit a large table with partialpool, all coefficients included; print a JSON line of measures.

``scale_ours.py TABLE SPAWNED``: the second is ``time.time()`` when the process was started.
"""

import json
import sys
import time

path, spawned = sys.argv[1], float(sys.argv[2])

from scale_cases import FORMULA

import partialpool as pp

start = time.time()
fit = pp.fit(FORMULA, path, seed=1, progress=False)
fitted = time.time()
table = fit.coefficients()
end = time.time()
summary = fit.summary()
explored = fit.run.seconds_sampling
print(
    json.dumps(
        {
            "versions": {"partialpool": pp.__version__},
            "seconds": {
                "start": start - spawned,
                "scan": fitted - start - explored,  # all that comes before draws and after them
                "explore": explored,
                "coefficients": end - fitted,
                "full": end - start,
            },
            "levels": len(table) // 2,
            "posterior": summary[["mean", "sd"]].T.to_dict(),
        }
    )
)
