"""The model written by hand in PyMC, sampled with nutpie: `plain_pymc.py DATA CREATORS`; prints one JSON line."""

from __future__ import annotations

import json
import sys
import time
import warnings

import arviz as az
import numpy as np
import pandas as pd
import pymc as pm

warnings.simplefilter("ignore")
data, creators = sys.argv[1:3]
posts = pd.read_csv(data, keep_default_na=False)
columns = ("Story_Views", "Swipe_Ups")
x = np.column_stack([(posts[c] - posts[c].mean()) / posts[c].std(ddof=0) for c in columns])
groups = ["Influencer_Tier", "Audience_Region", *(["Creator_ID"] if int(creators) else [])]
start = time.perf_counter()
codes = {g: pd.Categorical(posts[g]) for g in groups}
with pm.Model(coords={g: list(codes[g].categories) for g in groups} | {"numeric": list(columns)}):
    intercept = pm.Normal("intercept", 0, 1.5)
    slope = pm.Normal("slope", 0, 1, dims="numeric")
    eta = intercept + x @ slope
    for g in groups:
        scale = pm.HalfNormal(f"scale_{g}", 1)
        if g == "Creator_ID":
            raw = pm.Normal(f"raw_{g}", 0, 1, dims=g)
            effect = pm.Deterministic(f"effect_{g}", scale * raw, dims=g)
        else:
            effect = pm.ZeroSumNormal(f"effect_{g}", sigma=scale, dims=g)
        eta = eta + effect[codes[g].codes]
    pm.Bernoulli("converted", logit_p=eta, observed=posts["Converted"].to_numpy())
    fit = pm.sample(
        draws=1000,
        tune=1000,
        chains=4,
        cores=2,
        random_seed=1,
        nuts={"target_accept": 0.95},
        progressbar=False,
        quiet=True,
    )
seconds = time.perf_counter() - start
posterior = fit["posterior"]
kept = ["intercept", "slope", "effect_Influencer_Tier", "effect_Audience_Region", *(f"scale_{g}" for g in groups)]
tier = posterior["effect_Influencer_Tier"]
quantities = {f"scale_{g}": posterior[f"scale_{g}"] for g in groups}
quantities |= {f"slope[{column}]": posterior["slope"].sel(numeric=column) for column in columns}
quantities |= {
    f"tier[{name}]": tier.sel(Influencer_Tier=name) - tier.sel(Influencer_Tier="Mega") for name in ("Mid", "Micro")
}
print(
    json.dumps(
        {
            "fit_seconds": seconds,
            "worst_ess": float(az.summary(fit, var_names=kept, round_to="none")["ess_bulk"].min()),
            "divergences": int(fit["sample_stats"]["diverging"].sum()),
            "quantities": {name: [float(np.mean(q)), float(np.std(q))] for name, q in quantities.items()},
        }
    )
)
