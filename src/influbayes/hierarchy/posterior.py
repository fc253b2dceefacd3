"""The posterior as draws: `Fit`, saved and loaded as one netCDF file that ArviZ opens.

The file holds everything a fit is made of (draws, rows, coding, specification, how it was sampled), so that a loaded
fit predicts as the first one did. The pointwise log likelihood lies in it for other programs, in single precision and
only up to 10^7 numbers; a loaded fit computes it anew. Nothing is pickled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from influbayes.errors import IncompleteRun
from influbayes.hierarchy.coding import coords_of, dims_of
from influbayes.hierarchy.design import Design, FloatArray, ModelRows, Scaler
from influbayes.hierarchy.predict import LARGEST, log_likelihood
from influbayes.hierarchy.spec import Specification, parse_spec, render_spec
from influbayes.tables.problems import Problem

if TYPE_CHECKING:
    import xarray as xr

FORMAT = 1

# 24 bits (relative error below 1e-7) are ample for leave-one-out. Not compressed: most digits of draws are noise, and
# zlib took four times as long as everything else in the file to save a quarter of it.
_LOG_LIKELIHOOD_STORED = {"dtype": "float32"}


@dataclass(frozen=True, slots=True, kw_only=True)
class EngineRun:
    """How the draws were made: `rungs` holds one record an attempt, `seconds` is the time from design to draws."""

    name_asked: str
    name_used: str
    why: str
    draws: int
    chains: int
    seed: int
    seconds: float
    rungs: tuple[Mapping[str, Any], ...] = ()
    certificate: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Fit:
    """Draws of every model variable on the log-odds scale.

    `draws` name -> (chain, draw, *dims): `intercept`; `slope` (numeric); `effect_<factor>` (levels, sorted);
    `scale_<factor>` where the scale is estimated; `effect_A__x__B` (levels of A, levels of B); `scale_A__x__B`.
    `sample_stats` name -> (chain, draw): nuts has `diverging`, `energy`, `maxdepth_reached`, `lp`.
    """

    design: Design
    draws: Mapping[str, FloatArray]
    sample_stats: Mapping[str, FloatArray]
    run: EngineRun

    def to_datatree(self) -> xr.DataTree:
        """Return the fit as an ArviZ data tree, see `build_datatree`."""
        return build_datatree(self)


def build_datatree(fit: Fit) -> xr.DataTree:
    """Return posterior, sample_stats, observed_data and constant_data with named dims, as ArviZ expects them.

    `log_likelihood` (chain, draw, row) is a further group while rows x draws is at most 10^7.
    """
    import xarray as xr

    dims, coords = dims_of(fit.design), {name: list(labels) for name, labels in coords_of(fit.design).items()}
    chains, draws = fit.draws["intercept"].shape
    sampled = {"chain": np.arange(chains), "draw": np.arange(draws)}
    groups = {
        "/": xr.Dataset(attrs=_describe(fit)),
        "/posterior": xr.Dataset(
            {name: (("chain", "draw", *dims[name]), values) for name, values in fit.draws.items()},
            coords={**sampled, **coords},
        ),
        "/sample_stats": xr.Dataset(
            {name: (("chain", "draw"), values) for name, values in fit.sample_stats.items()}, coords=sampled
        ),
        "/observed_data": xr.Dataset({"conversions": (("row",), fit.design.conversions)}, coords=_row_coord(fit)),
        "/constant_data": _collect_constants(fit),
    }
    if len(fit.design.rows) * chains * draws <= LARGEST:
        pointwise = {"conversions": (("chain", "draw", "row"), log_likelihood(fit))}
        groups["/log_likelihood"] = xr.Dataset(pointwise, coords={**sampled, **_row_coord(fit)})
    return xr.DataTree.from_dict(groups)


def save_fit(fit: Fit, path: str | Path) -> None:
    """Write the fit as netCDF to `path`, which must not exist; every array is numeric but for labels."""
    tree = build_datatree(fit)
    stored = {"/log_likelihood": {"conversions": _LOG_LIKELIHOOD_STORED}} if "log_likelihood" in tree else {}
    tree.to_netcdf(Path(path), engine="netcdf4", encoding=stored)


def load_fit(path: str | Path) -> Fit:
    """Read a fit that `save_fit` wrote.

    Raises
    ------
    IncompleteRun
        The file is no saved fit, is cut short, was written by a newer influbayes, holds fewer draws than it says, or
        draws that are not finite.
    """
    import xarray as xr

    try:
        with xr.open_datatree(Path(path), engine="netcdf4") as tree:
            _check_format(tree, path)
            fit = _rebuild(tree)
    except IncompleteRun:
        raise
    except (OSError, KeyError, ValueError, RuntimeError, TypeError) as reason:
        raise IncompleteRun(f"{path}: not a saved fit of influbayes ({type(reason).__name__}: {reason}).") from reason
    _check_draws(fit, path)
    return fit


def _check_format(tree: xr.DataTree, path: str | Path) -> None:
    if int(tree.attrs["influbayes_format"]) > FORMAT:
        raise IncompleteRun(f"{path}: written by a newer influbayes. Update, or fit again.")


def _check_draws(fit: Fit, path: str | Path) -> None:
    """Refuse draws that are fewer than the run made, or not finite."""
    asked = (fit.run.chains, fit.run.draws)
    short = [name for name, values in fit.draws.items() if values.shape[:2] != asked]
    broken = [name for name, values in fit.draws.items() if not np.isfinite(values).all()]
    if short:
        what = f"{asked[0]} chains of {asked[1]} draws were made, not all of {', '.join(short)} is there"
        raise IncompleteRun(f"{path}: {what}; the file is incomplete. Fit again.")
    if broken:
        raise IncompleteRun(f"{path}: draws of {', '.join(broken)} are not finite; the file is incomplete. Fit again.")


def _describe(fit: Fit) -> dict[str, Any]:
    """Return what the arrays do not hold, as attributes of the file."""
    from influbayes import __version__

    return {
        "influbayes_format": FORMAT,
        "influbayes_version": __version__,
        "question": fit.design.question,
        "specification_name": fit.design.specification.name,
        "specification": render_spec(fit.design.specification),
        "scalers": json.dumps([asdict(scaler) for scaler in fit.design.scalers]),
        "left_out": json.dumps(list(fit.design.left_out)),
        "notices": json.dumps([asdict(notice) for notice in fit.design.notices]),
        "engine": json.dumps(asdict(fit.run), default=float),
    }


def _row_coord(fit: Fit) -> dict[str, Any]:
    return {"row": np.arange(len(fit.design.rows))}


def _collect_constants(fit: Fit) -> xr.Dataset:
    import xarray as xr

    rows = fit.design.rows
    variables: dict[str, Any] = {"trials": (("row",), fit.design.trials), "line": (("row",), fit.design.lines)}
    coords: dict[str, Any] = _row_coord(fit)
    if fit.design.numerics:
        variables |= {"x": (("row", "numeric"), rows.x), "raw": (("row", "numeric"), rows.raw)}
        coords["numeric"] = list(fit.design.numeric_names)
    variables |= {f"code_{name}": (("row",), codes) for name, codes in rows.codes.items()}
    coords |= {name: list(levels) for name, levels in fit.design.levels.items()}
    return xr.Dataset(variables, coords=coords)


def _rebuild(tree: xr.DataTree) -> Fit:
    attributes, posterior = tree.attrs, tree["posterior"].to_dataset()
    spec = parse_spec(attributes["specification"], name=attributes["specification_name"])
    run = json.loads(attributes["engine"])
    return Fit(
        design=_rebuild_design(tree, spec),
        draws={str(name): _read_array(values) for name, values in posterior.data_vars.items()},
        sample_stats={str(name): _read_array(v) for name, v in tree["sample_stats"].to_dataset().data_vars.items()},
        run=EngineRun(**{**run, "rungs": tuple(run["rungs"])}),
    )


def _rebuild_design(tree: xr.DataTree, spec: Specification) -> Design:
    constant = tree["constant_data"].to_dataset()
    names = [name.removeprefix("code_") for name in map(str, constant.data_vars) if name.startswith("code_")]
    left_out = tuple(json.loads(tree.attrs["left_out"]))
    count = constant.sizes["row"]
    return Design(
        specification=spec,
        question=tree.attrs["question"],
        rows=ModelRows(
            x=_read_array(constant["x"]) if "x" in constant else np.empty((count, 0)),
            raw=_read_array(constant["raw"]) if "raw" in constant else np.empty((count, 0)),
            codes={name: _read_array(constant[f"code_{name}"]) for name in names},
            conversions=_read_array(tree["observed_data"]["conversions"]),
            trials=_read_array(constant["trials"]),
        ),
        scalers=tuple(Scaler(**scaler) for scaler in json.loads(tree.attrs["scalers"])),
        levels={name: tuple(map(str, constant[name].to_numpy())) for name in names},
        numerics=tuple(term for term in spec.numerics if term.column not in left_out),
        factors=tuple(term for term in spec.factors if term.column not in left_out),
        interactions=tuple(term for term in spec.interactions if term.name not in left_out),
        lines=_read_array(constant["line"]),
        left_out=left_out,
        notices=tuple(_read_notice(notice) for notice in json.loads(tree.attrs["notices"])),
    )


def _read_array(stored: Any) -> Any:
    values = stored.to_numpy()
    values.setflags(write=False)
    return values


def _read_notice(stored: Mapping[str, Any]) -> Problem:
    return Problem(**{**stored, "lines": tuple(stored["lines"])})
