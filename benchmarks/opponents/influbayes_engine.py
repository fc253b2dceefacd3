"""One engine of influbayes: `influbayes_engine.py ENGINE DATA CREATORS [--draws N]`; prints one JSON line."""

from __future__ import annotations

import json
import sys
import time

from influbayes.hierarchy.design import build_design
from influbayes.hierarchy.spec import load_spec
from influbayes.inference.convergence import find_worst_convergence
from influbayes.inference.engine import fit_model
from influbayes.tables.reader import read_posts

engine, data, creators = sys.argv[1:4]
draws = int(sys.argv[sys.argv.index("--draws") + 1]) if "--draws" in sys.argv else 1000
posts = read_posts(data)
spec = load_spec("conversion_creator" if int(creators) else "conversion")
start = time.perf_counter()
fit = fit_model(build_design(posts, spec), engine=engine, draws=draws)
seconds = time.perf_counter() - start
kept = {name: values for name, values in fit.draws.items() if name != "effect_Creator_ID"}
tiers = fit.draws["effect_Influencer_Tier"]
levels = fit.design.levels["Influencer_Tier"]
quantities = {f"scale_{name}": fit.draws[f"scale_{name}"] for name in fit.design.levels}
quantities |= {f"slope[{name}]": fit.draws["slope"][..., k] for k, name in enumerate(fit.design.numeric_names)}
quantities |= {
    f"tier[{level}]": tiers[..., levels.index(level)] - tiers[..., levels.index("Mega")] for level in ("Mid", "Micro")
}
print(
    json.dumps(
        {
            "fit_seconds": seconds,
            "worst_ess": find_worst_convergence(kept).ess_bulk,
            "divergences": int(fit.sample_stats["diverging"].sum()) if "diverging" in fit.sample_stats else 0,
            "quantities": {name: [float(q.mean()), float(q.std())] for name, q in quantities.items()},
        }
    )
)
