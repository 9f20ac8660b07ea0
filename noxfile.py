import os

import nox

nox.needs_version = ">=2024.4"
nox.options.sessions = ["tests", "lint", "types"]
nox.options.reuse_venv = "yes"

PACKAGES = ("./packages/core", "./packages/audio", "./packages/medical")
SOURCES = os.pathsep.join(f"{package}/src" for package in PACKAGES)


def install(session: nox.Session, *requirements: str) -> None:
    """Installs the requirements in the tested versions."""
    session.install("-c", "constraints.txt", *requirements)


@nox.session
def tests(session: nox.Session) -> None:
    """All tests, with branch coverage; arguments after -- go to pytest."""
    install(session, "-r", "tests/requirements.txt", "./packages/audio[pesq]")
    session.run("pytest", "-n", "2", "--cov", "--cov-report=term", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, and which package and module may import which."""
    install(session, "ruff", "import-linter")
    session.run("ruff", "check")
    session.run("lint-imports", env={"PYTHONPATH": SOURCES})


@nox.session
def types(session: nox.Session) -> None:
    """Types: strict in the core, standard in the domains."""
    extras = ("./packages/audio[onnx,rooms]", "./packages/medical[dicom]")
    install(session, "pyright[nodejs]", "./packages/core", *extras)
    session.run("pyright", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, into build/site; any warning is an error."""
    install(session, "mkdocs-material", "mkdocstrings[python]", "latex2mathml", "ruff")
    session.run("mkdocs", "build", env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def bench(session: nox.Session) -> None:
    """One benchmark by its name, with its arguments: nox -s bench -- samplers."""
    install(session, "-r", "benchmarks/requirements.txt", *PACKAGES)
    name, *arguments = session.posargs or ["samplers"]
    session.run("python", f"benchmarks/{name}.py", *arguments)


@nox.session
def demo(session: nox.Session) -> None:
    """Both commands on the bundled examples, with a picture of each in out/."""
    install(session, *PACKAGES)
    session.run("python", "examples/demo.py")
