"""The model written by hand in PyMC, with its default sampler nutpie: `plain_pymc.py DATA CREATORS OUT`.

The same model as influbayes': zero-sum tiers and regions, the same priors, draws and target acceptance.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import protocol
import pymc as pm

warnings.simplefilter("ignore")
call = protocol.read_call()
posts = protocol.read_posts(call.data)
groups = protocol.list_groups(call.creators)
x = posts[[f"z_{column}" for column in protocol.NUMERIC]].to_numpy()
clock = protocol.Clock()
codes = {group: pd.Categorical(posts[group]) for group in groups}
coords = {group: list(codes[group].categories) for group in groups} | {"numeric": list(protocol.NUMERIC)}
with pm.Model(coords=coords):
    intercept = pm.Normal("intercept", 0, 1.5)
    slope = pm.Normal("slope", 0, 1, dims="numeric")
    eta = intercept + x @ slope
    for group in groups:
        scale = pm.HalfNormal(f"scale_{group}", 1)
        if group == "Creator_ID":
            raw = pm.Normal(f"raw_{group}", 0, 1, dims=group)
            effect = pm.Deterministic(f"effect_{group}", scale * raw, dims=group)
        else:
            effect = pm.ZeroSumNormal(f"effect_{group}", sigma=scale, dims=group)
        eta = eta + effect[np.asarray(codes[group].codes)]
    pm.Bernoulli("converted", logit_p=eta, observed=posts["Converted"].to_numpy())
    fit = pm.sample(
        draws=call.draws,
        tune=call.draws,
        chains=4,
        cores=call.cores,
        random_seed=call.seed,
        target_accept=0.95,
        progressbar=False,
        quiet=True,
    )
figures = clock.read()
posterior = fit["posterior"]
draws = {"intercept": posterior["intercept"].values}
draws |= {f"slope[{column}]": posterior["slope"].sel(numeric=column).values for column in protocol.NUMERIC}
for group in protocol.SHORT:
    draws |= protocol.name_levels(group, codes[group].categories, posterior[f"effect_{group}"].values)
draws |= {f"scale_{group}": posterior[f"scale_{group}"].values for group in groups}
protocol.write_draws(call.out, draws)
figures |= {"divergences": int(fit["sample_stats"]["diverging"].sum()), "version": f"pymc {pm.__version__}"}
protocol.write_figures(call.out, figures)
