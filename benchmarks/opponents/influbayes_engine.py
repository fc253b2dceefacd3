"""One engine of influbayes: `influbayes_engine.py ENGINE DATA CREATORS OUT [--draws N] [--prior FAMILY]`.

Timed from the checked table in memory to draws. `--prior exponential` gives every scale an Exponential(1) prior
instead of a half-Normal(1): a reference for programs that know no other.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from importlib.metadata import version

import protocol

from influbayes.hierarchy.design import build_design
from influbayes.hierarchy.spec import load_spec
from influbayes.inference.certificate import is_certified
from influbayes.inference.engine import fit_model
from influbayes.tables.reader import read_posts


def change_prior(spec, family):
    """Return a specification whose scales all have this prior family, with parameter 1."""
    factors = tuple(replace(f, scale_prior=replace(f.scale_prior, family=family)) for f in spec.factors)
    return replace(spec, factors=factors)


engine = sys.argv.pop(1)
prior = sys.argv.pop(sys.argv.index("--prior") + 1) if "--prior" in sys.argv else None
if prior:
    sys.argv.remove("--prior")
call = protocol.read_call()
posts = read_posts(call.data)
spec = load_spec("conversion_creator" if call.creators else "conversion")
spec = change_prior(spec, prior) if prior else spec
clock = protocol.Clock()
fit = fit_model(build_design(posts, spec), engine=engine, draws=call.draws, seed=call.seed)
figures = clock.read()
if engine == "laplace":
    figures["certified"] = int(is_certified(fit.run.certificate))
else:
    figures["divergences"] = int(fit.sample_stats["diverging"].sum())
draws = {"intercept": fit.draws["intercept"]}
draws |= {f"slope[{name}]": fit.draws["slope"][..., k] for k, name in enumerate(fit.design.numeric_names)}
for group in protocol.SHORT:
    draws |= protocol.name_levels(group, fit.design.levels[group], fit.draws[f"effect_{group}"])
draws |= {f"scale_{group}": fit.draws[f"scale_{group}"] for group in protocol.list_groups(call.creators)}
protocol.write_draws(call.out, draws)
protocol.write_figures(call.out, {**figures, "version": f"influbayes {version('influbayes')}"})
