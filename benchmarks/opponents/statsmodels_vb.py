"""statsmodels' variational mixed GLM on one file: `statsmodels_vb.py DATA CREATORS`; prints one JSON line.

It gives a Gaussian approximation, no draws, so no effective sample size. Its prior of a log scale is Normal(0, 1).
"""

from __future__ import annotations

import json
import sys
import time
import warnings

import numpy as np
import pandas as pd
from statsmodels.genmod.bayes_mixed_glm import BinomialBayesMixedGLM

warnings.simplefilter("ignore")
data, creators = sys.argv[1:3]
posts = pd.read_csv(data, keep_default_na=False)
for column in ("Story_Views", "Swipe_Ups"):
    posts[f"z_{column}"] = (posts[column] - posts[column].mean()) / posts[column].std(ddof=0)
groups = ["Influencer_Tier", "Audience_Region", *(["Creator_ID"] if int(creators) else [])]
start = time.perf_counter()
model = BinomialBayesMixedGLM.from_formula(
    "Converted ~ z_Story_Views + z_Swipe_Ups", {g: f"0 + C({g})" for g in groups}, posts, vcp_p=1, fe_p=1
)
fit = model.fit_vb()
seconds = time.perf_counter() - start
rng = np.random.default_rng(1)
quantities = {
    f"slope[{c}]": [float(fit.fe_mean[k + 1]), float(fit.fe_sd[k + 1])]
    for k, c in enumerate(("Story_Views", "Swipe_Ups"))
}
for k, g in enumerate(groups):
    scale = np.exp(fit.vcp_mean[k] + fit.vcp_sd[k] * rng.standard_normal(10_000))
    quantities[f"scale_{g}"] = [float(scale.mean()), float(scale.std())]
names = list(model.exog_vc_names) if hasattr(model, "exog_vc_names") else []
place = {name: k for k, name in enumerate(names) if "Influencer_Tier" in name}
for level in ("Mid", "Micro"):
    if f"C(Influencer_Tier)[{level}]" in place:
        a, b = place[f"C(Influencer_Tier)[{level}]"], place["C(Influencer_Tier)[Mega]"]
        quantities[f"tier[{level}]"] = [
            float(fit.vc_mean[a] - fit.vc_mean[b]),
            float(np.hypot(fit.vc_sd[a], fit.vc_sd[b])),
        ]
print(json.dumps({"fit_seconds": seconds, "worst_ess": None, "divergences": None, "quantities": quantities}))
