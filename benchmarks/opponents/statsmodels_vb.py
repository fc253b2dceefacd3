"""statsmodels' variational mixed GLM on one file: `statsmodels_vb.py DATA CREATORS OUT`.

BinomialBayesMixedGLM gives a Gaussian approximation with independent coordinates and no draws, so there is no effective
sample size. Its prior of a log scale is Normal(0, 1), not half-Normal(1) on the scale; that of every fixed effect is
Normal(0, 1). Effects are iid Normal around the intercept.
"""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import protocol
import statsmodels
from scipy import sparse
from statsmodels.genmod.bayes_mixed_glm import BinomialBayesMixedGLM

MOST_BFGS = 500

warnings.simplefilter("ignore")
call = protocol.read_call()
posts = protocol.read_posts(call.data)
groups = protocol.list_groups(call.creators)
columns = [f"z_{column}" for column in protocol.NUMERIC]
clock = protocol.Clock()
codes = {group: pd.Categorical(posts[group]) for group in groups}
places = [(np.arange(len(posts)), np.asarray(codes[group].codes)) for group in groups]
effects = sparse.hstack([sparse.csr_matrix((np.ones(len(posts)), place)) for place in places]).tocsr()
model = BinomialBayesMixedGLM(
    posts["Converted"].to_numpy(),
    np.column_stack([np.ones(len(posts)), posts[columns]]),
    effects,
    np.repeat(np.arange(len(groups)), [len(codes[group].categories) for group in groups]),
    vcp_p=1,
    fe_p=1,
)
# BFGS, the default, holds a square matrix of twice the number of effects: gigabytes with 10,000 creators.
fit = model.fit_vb(fit_method="BFGS" if effects.shape[1] <= MOST_BFGS else "L-BFGS-B")
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
start = 0
for group, short in protocol.SHORT.items():
    levels, reference = list(codes[group].categories), protocol.REFERENCES[group]
    for level in sorted(set(levels) - {reference}):
        a, b = start + levels.index(level), start + levels.index(reference)
        summary[f"{short}[{level}]-{short}[{reference}]"] = (
            float(fit.vc_mean[a] - fit.vc_mean[b]),
            float(np.hypot(fit.vc_sd[a], fit.vc_sd[b])),
        )
    start += len(levels)
protocol.write_summary(call.out, summary)
protocol.write_figures(call.out, {**figures, "version": f"statsmodels {statsmodels.__version__}"})
