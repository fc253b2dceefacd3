"""Bambi with nutpie on one file: `bambi_nutpie.py DATA CREATORS`; prints one JSON line.

The same priors, draws and target acceptance as influbayes' NUTS. Bambi has no zero-sum effects: tiers and regions are
iid Normal around the intercept, so contrasts are what is compared.
"""

from __future__ import annotations

import json
import sys
import time
import warnings

import arviz as az
import bambi as bmb
import numpy as np
import pandas as pd

warnings.simplefilter("ignore")
data, creators = sys.argv[1:3]
posts = pd.read_csv(data, keep_default_na=False)
for column in ("Story_Views", "Swipe_Ups"):
    posts[f"z_{column}"] = (posts[column] - posts[column].mean()) / posts[column].std(ddof=0)
groups = ["Influencer_Tier", "Audience_Region", *(["Creator_ID"] if int(creators) else [])]
priors = {"Intercept": bmb.Prior("Normal", mu=0, sigma=1.5)}
priors |= {f"z_{column}": bmb.Prior("Normal", mu=0, sigma=1) for column in ("Story_Views", "Swipe_Ups")}
priors |= {f"1|{g}": bmb.Prior("Normal", mu=0, sigma=bmb.Prior("HalfNormal", sigma=1)) for g in groups}
start = time.perf_counter()
model = bmb.Model(
    "Converted ~ 1 + z_Story_Views + z_Swipe_Ups + " + " + ".join(f"(1|{g})" for g in groups),
    posts,
    family="bernoulli",
    priors=priors,
    noncentered=True,
)
fit = model.fit(
    draws=1000,
    tune=1000,
    chains=4,
    cores=2,
    random_seed=1,
    inference_method="nutpie",
    target_accept=0.95,
    progressbar=False,
)
seconds = time.perf_counter() - start
posterior = fit["posterior"]
kept = ["Intercept", "z_Story_Views", "z_Swipe_Ups", "1|Influencer_Tier", "1|Audience_Region"]
kept += [f"1|{g}_sigma" for g in groups]
summary = az.summary(fit, var_names=kept, round_to="none")
tier = posterior["1|Influencer_Tier"]
level = {str(name): tier.isel({tier.dims[-1]: k}) for k, name in enumerate(tier[tier.dims[-1]].values)}
quantities = {f"scale_{g}": posterior[f"1|{g}_sigma"] for g in groups}
quantities |= {f"slope[{column}]": posterior[f"z_{column}"] for column in ("Story_Views", "Swipe_Ups")}
quantities |= {f"tier[{name}]": level[name] - level["Mega"] for name in ("Mid", "Micro")}
print(
    json.dumps(
        {
            "fit_seconds": seconds,
            "worst_ess": float(summary["ess_bulk"].min()),
            "divergences": int(fit["sample_stats"]["diverging"].sum()),
            "quantities": {name: [float(np.mean(q)), float(np.std(q))] for name, q in quantities.items()},
        }
    )
)
