"""statsmodels' variational mixed GLM on one file: `statsmodels_vb.py DATA CREATORS OUT`.

BinomialBayesMixedGLM gives a Gaussian approximation with independent coordinates and no draws, so there is no effective
sample size. Its prior of a log scale is Normal(0, 1), not half-Normal(1) on the scale; that of every fixed effect is
Normal(0, 1). Effects are iid Normal around the intercept.
"""

from __future__ import annotations

import warnings

import numpy as np
import protocol
import statsmodels
from statsmodels.genmod.bayes_mixed_glm import BinomialBayesMixedGLM

warnings.simplefilter("ignore")
call = protocol.read_call()
posts = protocol.read_posts(call.data)
groups = protocol.list_groups(call.creators)
clock = protocol.Clock()
model = BinomialBayesMixedGLM.from_formula(
    "Converted ~ z_Story_Views + z_Swipe_Ups", {g: f"0 + C({g})" for g in groups}, posts, vcp_p=1, fe_p=1
)
fit = model.fit_vb()
figures = clock.read()
summary = {
    f"slope[{column}]": (float(fit.fe_mean[k + 1]), float(fit.fe_sd[k + 1]))
    for k, column in enumerate(protocol.NUMERIC)
}
for k, group in enumerate(groups):
    # A log-normal: its mean and standard deviation in closed form.
    centre, width = float(fit.vcp_mean[k]), float(fit.vcp_sd[k])
    mean = float(np.exp(centre + width**2 / 2))
    summary[f"scale_{group}"] = (mean, mean * float(np.sqrt(np.expm1(width**2))))
place = {name: k for k, name in enumerate(model.vc_names)}
for group, short in protocol.SHORT.items():
    reference = protocol.REFERENCES[group]
    for level in sorted(set(posts[group]) - {reference}):
        a, b = place[f"C({group})[{level}]"], place[f"C({group})[{reference}]"]
        summary[f"{short}[{level}]-{short}[{reference}]"] = (
            float(fit.vc_mean[a] - fit.vc_mean[b]),
            float(np.hypot(fit.vc_sd[a], fit.vc_sd[b])),
        )
protocol.write_summary(call.out, summary)
protocol.write_figures(call.out, {**figures, "version": f"statsmodels {statsmodels.__version__}"})
