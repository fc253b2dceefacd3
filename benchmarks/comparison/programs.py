"""Who takes part: the command of each program, what its model differs in, and whether it can run here.

Knows how a program is called, not what it answers.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
from dataclasses import dataclass
from functools import cache
from importlib.util import find_spec
from pathlib import Path

OPPONENTS = Path(__file__).resolve().parents[1] / "opponents"
OURS = "influbayes-laplace"


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """One program of the comparison.

    `script` lies in opponents/; `words` stand before the common arguments. `package` is the Python module, or the R
    package where the script ends in .R. `compiles` says that a first run pays for compiling. `differs` says how its
    model or answer differs from influbayes'; `prior` names the family of its scale priors where that is not the
    half-normal, so that it is judged against a reference with its own.
    """

    name: str
    label: str
    script: str
    package: str
    words: tuple[str, ...] = ()
    compiles: bool = False
    prior: str | None = None
    differs: str = "the same model"

    @property
    def in_r(self) -> bool:
        """Whether it is called through Rscript."""
        return self.script.endswith(".R")


PROGRAMS = {
    program.name: program
    for program in (
        Program(
            name=OURS,
            label="influbayes, laplace",
            script="influbayes_engine.py",
            package="influbayes",
            words=("laplace",),
            compiles=True,
        ),
        Program(
            name="influbayes-nuts",
            label="influbayes, nuts",
            script="influbayes_engine.py",
            package="influbayes",
            words=("nuts",),
            compiles=True,
            differs="the same model; sampled again, longer, where its own checks ask for it, which is counted",
        ),
        Program(
            name="bambi-nutpie",
            label="Bambi, nutpie",
            script="bambi_nutpie.py",
            package="bambi",
            compiles=True,
            differs="tiers and regions iid Normal around the intercept, not zero-sum; the same priors",
        ),
        Program(name="plain-pymc", label="PyMC by hand", script="plain_pymc.py", package="pymc", compiles=True),
        Program(
            name="rstanarm",
            label="rstanarm",
            script="rstanarm_glmer.R",
            package="rstanarm",
            prior="exponential",
            differs="iid effects; scales Exponential(1), and judged against a reference with that prior",
        ),
        Program(
            name="statsmodels-vb",
            label="statsmodels, VB",
            script="statsmodels_vb.py",
            package="statsmodels",
            differs="iid effects; a Gaussian approximation without draws; log scales Normal(0, 1)",
        ),
        Program(
            name="lme4",
            label="lme4, glmer",
            script="lme4_glmer.R",
            package="lme4",
            differs="no priors: maximum likelihood by Laplace approximation; iid effects; no standard error of a "
            "scale, those of contrasts hold scales and fixed effects at their estimates",
        ),
        Program(
            name="glmmTMB",
            label="glmmTMB",
            script="glmmtmb_fit.R",
            package="glmmTMB",
            differs="no priors: maximum likelihood by Laplace approximation; iid effects; standard errors by the "
            "delta method",
        ),
    )
}


def build_command(program: Program, data: Path, creators: int, out: Path, *, cores: int) -> list[str]:
    """Return the words of one call."""
    script = str(OPPONENTS / program.script)
    common = [*program.words, str(data), str(creators), str(out)]
    if program.in_r:
        return ["Rscript", script, *common, str(cores)]
    return [sys.executable, script, *common, "--cores", str(cores)]


def explain_absence(program: Program) -> str | None:
    """Return why a program cannot run here, or None where it can."""
    if not program.in_r:
        return None if find_spec(program.package) else f"the Python package {program.package} is not installed"
    if shutil.which("Rscript") is None:
        return "Rscript is not on the path"
    return None if _has_r_package(program.package) else f"the R package {program.package} is not installed"


@cache
def _has_r_package(package: str) -> bool:
    asked = f"quit(status = !nzchar(system.file(package = '{package}')))"
    return subprocess.run(["Rscript", "-e", asked], capture_output=True, check=False).returncode == 0
