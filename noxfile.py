"""Everything that is done with this repository, one session each: `nox -l` lists them."""

from __future__ import annotations

import sys
from pathlib import Path

import nox

nox.options.default_venv_backend = "venv"
nox.options.reuse_venv = "yes"
nox.options.sessions = ["tests", "lint", "types"]
nox.options.error_on_external_run = True


@nox.session
def sweep(session: nox.Session) -> None:
    """Run a sweep and write its report: `nox -s sweep [-- SWEEP [OPTION ...]]`, default sweeps/quick.toml."""
    session.install(".")
    name, *options = session.posargs or ["sweeps/quick.toml"]
    folder = Path("results") / Path(name).stem
    session.run("paraedge", "run", name, "--out", str(folder), *options)
    session.run("paraedge", "report", str(folder))
    session.log(f"the report: {(folder / 'report.html').absolute().as_uri()}")


@nox.session
def report(session: nox.Session) -> None:
    """Write the report of campaigns again: `nox -s report [-- CAMPAIGN ... [--out DIR]]`, default results/quick."""
    session.install(".")
    session.run("paraedge", "report", *(session.posargs or ["results/quick"]))


@nox.session
def tests(session: nox.Session) -> None:
    """Pass the tests, on the installed wheel: `nox -s tests [-- PYTEST-OPTION ...]`."""
    session.install(".[test]")
    session.run("pytest", *session.posargs)


@nox.session
def slow(session: nox.Session) -> None:
    """Pass the tests that take minutes, which `tests` leaves out; of those that need TensorFlow, see `tensorflow`."""
    session.install(".[test]")
    session.run("pytest", "-m", "slow and not tensorflow", *session.posargs)


@nox.session
def tensorflow(session: nox.Session) -> None:
    """Hold the files written directly against TensorFlow's converter and Keras (minutes; installs TensorFlow)."""
    session.install(".[test,tensorflow]")
    session.run("pytest", "-s", "-m", "tensorflow", *(session.posargs or ["tests", "benchmarks"]))


@nox.session
def hardware(session: nox.Session) -> None:
    """Try the Edge TPUs that are attached: `nox -s hardware`, for their owner; docs/edgetpu.md says what it needs."""
    session.install(".[test]")
    session.run("pytest", "tests/hardware", "-s", *session.posargs)


@nox.session
def bench(session: nox.Session) -> None:
    """Measure what the suite itself costs: benchmarks/ (minutes)."""
    session.install(".[test]")
    session.run("pytest", *(session.posargs or ["benchmarks"]))


@nox.session
def lint(session: nox.Session) -> None:
    """Check style with ruff."""
    session.install("ruff>=0.6")
    session.run("ruff", "check", ".")
    session.run("ruff", "format", "--check", ".")


@nox.session
def types(session: nox.Session) -> None:
    """Check types with mypy --strict, on Python 3.11 or newer: the stubs of what is there for 3.10 are older."""
    if sys.version_info < (3, 11):
        session.skip("needs nox on Python 3.11 or newer")
    session.install(".[types]")
    session.run("mypy")


@nox.session
def rules(session: nox.Session) -> None:
    """Check the architecture: import contracts, what an import pulls in, sizes, who prints; and that each can fail."""
    session.install(".[test]")
    session.run("lint-imports")
    session.run("pytest", "tests/test_rules.py", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """Compare the docs with the program, by running it: `nox -s docs [-- --write]` writes them anew."""
    session.install(".[test]")
    session.run("python", "docs/generate.py", *session.posargs)
    session.run("pytest", "tests/test_docs.py")
