"""A saved fit: equal in every array after loading, opened by ArviZ with the agreed groups, refused when broken."""

from __future__ import annotations

import shutil
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import netCDF4
import numpy as np
import pytest

from influbayes import __version__
from influbayes.errors import IncompleteRun
from influbayes.hierarchy import posterior
from influbayes.hierarchy.design import build_design, encode_rows
from influbayes.hierarchy.posterior import Fit, load_fit, save_fit
from influbayes.hierarchy.predict import expected_value, linear_predictor, log_likelihood, predictive_draws
from influbayes.hierarchy.spec import load_spec, render_spec

SHAPES = ["small_fit", "creator_fit", "intercept_fit", "left_out_fit"]


@pytest.fixture
def intercept_fit(approximate: Any, sixty_posts: Any, conversion: Any) -> Fit:
    found: Fit = approximate(build_design(sixty_posts, replace(conversion, numerics=(), factors=())), draws=50)
    return found


@pytest.fixture
def left_out_fit(approximate: Any, make_posts: Any, sixty_posts: Any) -> Fit:
    """Fixed scales, a constant number, an empty cell, labels from anywhere."""
    labels = {"Mega": "Méga, «groß»", "Mid": "中", "Micro": " ", "": ""}
    frame = sixty_posts.frame.assign(Swipe_Ups=5.0, Influencer_Tier=sixty_posts.frame["Influencer_Tier"].map(labels))
    spec = load_spec("no_pooling")
    spec = replace(spec, factors=tuple(replace(term, reference=None) for term in spec.factors))
    found: Fit = approximate(build_design(make_posts(frame), spec), draws=50)
    return found


@pytest.fixture(params=SHAPES)
def fit(request: pytest.FixtureRequest) -> Fit:
    found: Fit = request.getfixturevalue(request.param)
    return replace(found, run=replace(found.run, rungs=({"rhat": 1.0, "draws": 50},), certificate=None))


@pytest.fixture
def saved(small_fit: Fit, tmp_path: Path) -> Path:
    save_fit(small_fit, tmp_path / "posterior.nc")
    return tmp_path / "posterior.nc"


def assert_equal_arrays(one: Any, other: Any) -> None:
    np.testing.assert_array_equal(one, other, strict=True)


def test_a_loaded_fit_is_equal_in_every_array(fit: Fit, tmp_path: Path) -> None:
    save_fit(fit, tmp_path / "a.nc")
    loaded = load_fit(tmp_path / "a.nc")
    assert list(loaded.draws) == list(fit.draws)
    for name, values in fit.draws.items():
        assert_equal_arrays(loaded.draws[name], values)
    for name, values in fit.sample_stats.items():
        assert_equal_arrays(loaded.sample_stats[name], values)
    one, other = fit.design, loaded.design
    for field in ("x", "raw", "conversions", "trials"):
        assert_equal_arrays(getattr(other.rows, field), getattr(one.rows, field))
    assert list(other.rows.codes) == list(one.rows.codes)
    for name, codes in one.rows.codes.items():
        assert_equal_arrays(other.rows.codes[name], codes)
    assert_equal_arrays(other.lines, one.lines)
    plain = {field.name for field in fields(one)} - {"specification", "rows", "lines"}
    assert {name: getattr(other, name) for name in plain} == {name: getattr(one, name) for name in plain}
    assert render_spec(other.specification) == render_spec(one.specification)
    assert (other.specification.name, loaded.run) == (one.specification.name, fit.run)


def test_a_loaded_fit_predicts_the_same_numbers(fit: Fit, tmp_path: Path) -> None:
    save_fit(fit, tmp_path / "a.nc")
    loaded = load_fit(tmp_path / "a.nc")
    by = np.arange(60) % 3
    for function in (linear_predictor, expected_value, predictive_draws):
        assert_equal_arrays(function(loaded), function(fit))
        assert_equal_arrays(function(loaded, by=by), function(fit, by=by))


def test_a_loaded_fit_encodes_new_rows_and_new_creators_alike(
    creator_fit: Fit, sixty_posts: Any, tmp_path: Path
) -> None:
    save_fit(creator_fit, tmp_path / "a.nc")
    loaded = load_fit(tmp_path / "a.nc")
    frame = sixty_posts.frame.assign(Creator_ID="new")
    rows, again = encode_rows(creator_fit.design, frame), encode_rows(loaded.design, frame)
    assert_equal_arrays(expected_value(loaded, again), expected_value(creator_fit, rows))


def test_loaded_arrays_are_read_only(saved: Path) -> None:
    loaded = load_fit(saved)
    arrays = [*loaded.draws.values(), loaded.design.rows.x, loaded.design.lines, *loaded.design.rows.codes.values()]
    assert not any(values.flags.writeable for values in arrays)


def test_notices_of_the_table_are_kept(left_out_fit: Fit, tmp_path: Path) -> None:
    assert [notice.code for notice in left_out_fit.design.notices] == ["IB-F03"]
    save_fit(left_out_fit, tmp_path / "a.nc")
    assert load_fit(tmp_path / "a.nc").design.notices == left_out_fit.design.notices


def test_arviz_opens_the_file_with_the_agreed_groups_and_dims(creator_fit: Fit, tmp_path: Path) -> None:
    import arviz as az

    save_fit(creator_fit, tmp_path / "a.nc")
    tree = az.from_netcdf(tmp_path / "a.nc")
    assert set(tree.children) == {"posterior", "sample_stats", "observed_data", "constant_data", "log_likelihood"}
    found = {name: values.dims[2:] for name, values in tree["posterior"].data_vars.items()}
    tier, region = "Influencer_Tier", "Audience_Region"
    assert found == {
        "intercept": (),
        "slope": ("numeric",),
        f"effect_{tier}": (tier,),
        f"scale_{tier}": (),
        f"effect_{region}": (region,),
        f"scale_{region}": (),
        "effect_Creator_ID": ("Creator_ID",),
        "scale_Creator_ID": (),
        f"effect_{tier}__x__{region}": (tier, region),
        f"scale_{tier}__x__{region}": (),
    }
    posterior_group = tree["posterior"]
    assert list(posterior_group["numeric"].values) == ["Story_Views", "Swipe_Ups"]
    assert list(posterior_group[tier].values) == ["Mega", "Micro", "Mid"]
    assert posterior_group["intercept"].dims == ("chain", "draw")
    assert tree["observed_data"]["conversions"].dims == ("row",)
    assert tree["log_likelihood"]["conversions"].dims == ("chain", "draw", "row")
    assert {"trials", "line", "x", "raw", f"code_{tier}"} <= set(tree["constant_data"].data_vars)
    numeric = [v.dtype.kind for group in tree.children.values() for v in group.data_vars.values()]
    assert set(numeric) <= {"f", "i"}
    tree.close()


def test_log_likelihood_is_stored_in_sixteen_bits_and_serves_leave_one_out(small_fit: Fit, saved: Path) -> None:
    import arviz as az
    from arviz_stats import loo

    tree = az.from_netcdf(saved)
    stored = tree["log_likelihood"]["conversions"].values
    np.testing.assert_allclose(stored, log_likelihood(small_fit), rtol=1e-5)
    exact = small_fit.to_datatree()
    np.testing.assert_array_equal(exact["log_likelihood"]["conversions"].values, log_likelihood(small_fit))
    assert loo(tree).elpd == pytest.approx(loo(exact).elpd, rel=1e-5)
    tree.close()


def test_log_likelihood_is_left_out_above_ten_million_numbers(
    small_fit: Fit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert posterior.LARGEST == 10_000_000
    monkeypatch.setattr(posterior, "LARGEST", 60 * 200 - 1)
    save_fit(small_fit, tmp_path / "a.nc")
    assert "log_likelihood" not in small_fit.to_datatree().children
    assert_equal_arrays(linear_predictor(load_fit(tmp_path / "a.nc")), linear_predictor(small_fit))
    monkeypatch.setattr(posterior, "LARGEST", 60 * 200)
    assert "log_likelihood" in small_fit.to_datatree().children


# --- broken files -----------------------------------------------------------------------------------------------------


def refusal(path: Path) -> str:
    with pytest.raises(IncompleteRun) as caught:
        load_fit(path)
    message = str(caught.value)
    assert message.startswith(f"{path}: ")
    return message.removeprefix(f"{path}: ")


@pytest.mark.parametrize("share", [0.0, 0.001, 0.1, 0.5, 0.9, 0.99])
def test_a_file_cut_short_is_incomplete(saved: Path, share: float) -> None:
    whole = saved.read_bytes()
    saved.write_bytes(whole[: int(share * len(whole))])
    assert refusal(saved).startswith("not a saved fit of influbayes (")


def test_other_files_are_no_saved_fits(saved: Path, tmp_path: Path) -> None:
    assert refusal(tmp_path / "absent.nc").startswith("not a saved fit of influbayes (FileNotFoundError")
    (tmp_path / "text.nc").write_text("tier,n\n")
    assert refusal(tmp_path / "text.nc").startswith("not a saved fit of influbayes (")
    with netCDF4.Dataset(tmp_path / "foreign.nc", "w") as file:
        file.createDimension("chain", 4)
    assert refusal(tmp_path / "foreign.nc") == ("not a saved fit of influbayes (KeyError: 'influbayes_format').")


@pytest.mark.parametrize("group", ["posterior", "sample_stats", "observed_data", "constant_data"])
def test_a_missing_group_is_incomplete(small_fit: Fit, tmp_path: Path, group: str) -> None:
    tree = small_fit.to_datatree()
    del tree[group]
    tree.to_netcdf(tmp_path / "a.nc", engine="netcdf4")
    assert "not a saved fit of influbayes (KeyError" in refusal(tmp_path / "a.nc")


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("engine", "{"), ("engine", '{"seed": 1}'), ("scalers", '[{"centre": 1}]'), ("specification", "title = 3")],
)
def test_a_broken_attribute_is_incomplete(saved: Path, attribute: str, value: str) -> None:
    with netCDF4.Dataset(saved, "a") as file:
        file.setncattr(attribute, value)
    assert refusal(saved).startswith("not a saved fit of influbayes (")


@pytest.mark.parametrize(
    ("step", "words", "remedy"),
    [(1, "newer format", "Update influbayes, or fit again."), (-1, "older format", "Fit again.")],
)
def test_another_format_is_refused_with_what_was_found_and_wanted(
    saved: Path, step: int, words: str, remedy: str
) -> None:
    with netCDF4.Dataset(saved, "a") as file:
        file.setncattr("influbayes_format", posterior.FORMAT + step)
        file.setncattr("influbayes_version", "7.8.9")
    assert refusal(saved) == (
        f"saved in the {words} {posterior.FORMAT + step} by influbayes 7.8.9; influbayes {__version__} reads format "
        f"{posterior.FORMAT}. {remedy}"
    )


def test_draws_that_are_not_finite_are_refused(saved: Path) -> None:
    with netCDF4.Dataset(saved, "a") as file:
        file["posterior/intercept"][3, 7] = np.nan
        file["posterior/slope"][0, 0, 1] = np.inf
    assert refusal(saved) == "draws of intercept, slope are not finite; the file is incomplete. Fit again."


def test_fewer_draws_than_were_made_are_refused(small_fit: Fit, tmp_path: Path) -> None:
    short = replace(small_fit, run=replace(small_fit.run, draws=51))
    save_fit(short, tmp_path / "a.nc")
    assert refusal(tmp_path / "a.nc").startswith("4 chains of 51 draws were made, not all of intercept, slope, ")


def test_a_file_is_closed_after_loading(saved: Path) -> None:
    load_fit(saved)
    shutil.move(saved, saved.with_name("moved.nc"))
    with netCDF4.Dataset(saved.with_name("moved.nc"), "a") as file:
        assert file.getncattr("influbayes_format") == posterior.FORMAT
