"""Bambi with nutpie on one file: `bambi_nutpie.py DATA CREATORS OUT`.

The same priors, draws and target acceptance as influbayes' NUTS. Bambi has no zero-sum effects: tiers and regions are
iid Normal around the intercept, whose posterior is therefore wider; contrasts and scales are comparable.
"""

from __future__ import annotations

import warnings

import bambi as bmb
import protocol

warnings.simplefilter("ignore")
call = protocol.read_call()
posts = protocol.read_posts(call.data)
groups = protocol.list_groups(call.creators)
priors = {"Intercept": bmb.Prior("Normal", mu=0, sigma=1.5)}
priors |= {f"z_{column}": bmb.Prior("Normal", mu=0, sigma=1) for column in protocol.NUMERIC}
priors |= {f"1|{g}": bmb.Prior("Normal", mu=0, sigma=bmb.Prior("HalfNormal", sigma=1)) for g in groups}
clock = protocol.Clock()
model = bmb.Model(
    "Converted ~ 1 + z_Story_Views + z_Swipe_Ups + " + " + ".join(f"(1|{g})" for g in groups),
    posts,
    family="bernoulli",
    priors=priors,
    noncentered=True,
)
fit = model.fit(
    draws=call.draws,
    tune=call.draws,
    chains=4,
    cores=call.cores,
    random_seed=call.seed,
    inference_method="nutpie",
    target_accept=0.95,
    progressbar=False,
)
figures = clock.read()
posterior = fit["posterior"]
draws = {"intercept": posterior["Intercept"].values}
draws |= {f"slope[{column}]": posterior[f"z_{column}"].values for column in protocol.NUMERIC}
for group in protocol.SHORT:
    effect = posterior[f"1|{group}"]
    draws |= protocol.name_levels(group, effect[effect.dims[-1]].values, effect.values)
draws |= {f"scale_{group}": posterior[f"1|{group}_sigma"].values for group in groups}
protocol.write_draws(call.out, draws)
figures |= {"divergences": int(fit["sample_stats"]["diverging"].sum()), "version": f"bambi {bmb.__version__}"}
protocol.write_figures(call.out, figures)
