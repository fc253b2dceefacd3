"""Bambi with nutpie on one file: `bambi_nutpie.py DATA CREATORS OUT [--both]`.

The same priors, draws and target acceptance as influbayes' NUTS. Bambi has no zero-sum effects: tiers and regions are
iid Normal around the intercept, whose posterior is therefore wider; contrasts and scales are comparable. With `--both`
it then fits the second question of `influbayes fit` too, the model without engagement, whose answer is thrown away.
"""

from __future__ import annotations

import sys
import warnings

import bambi as bmb
import protocol

warnings.simplefilter("ignore")


def fit_model(numeric):
    """Return the fit with these numeric columns."""
    priors = {"Intercept": bmb.Prior("Normal", mu=0, sigma=1.5)}
    priors |= {f"z_{column}": bmb.Prior("Normal", mu=0, sigma=1) for column in numeric}
    priors |= {f"1|{g}": bmb.Prior("Normal", mu=0, sigma=bmb.Prior("HalfNormal", sigma=1)) for g in groups}
    terms = [*(f"z_{column}" for column in numeric), *(f"(1|{g})" for g in groups)]
    model = bmb.Model(
        "Converted ~ 1 + " + " + ".join(terms), posts, family="bernoulli", priors=priors, noncentered=True
    )
    return model.fit(
        draws=call.draws,
        tune=call.draws,
        chains=4,
        cores=call.cores,
        random_seed=call.seed,
        inference_method="nutpie",
        target_accept=0.95,
        progressbar=False,
    )


both = "--both" in sys.argv
if both:
    sys.argv.remove("--both")
call = protocol.read_call()
posts = protocol.read_posts(call.data)
groups = protocol.list_groups(call.creators)
clock = protocol.Clock()
fit = fit_model(protocol.NUMERIC)
if both:
    fit_model(())
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
