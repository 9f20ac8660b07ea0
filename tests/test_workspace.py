"""The repository as a stranger finds it: versions, commands, examples."""

import os
import re
import runpy
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import numpy as np
import pytest
import soundfile
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parent.parent
PACKAGES = ("core", "audio", "medical")
MEGABYTE = 2**20


def project(name: str) -> dict:
    return tomllib.loads((ROOT / "packages" / name / "pyproject.toml").read_text())["project"]


def files() -> list[Path]:
    """Files of the repository, without what running things leaves in it."""
    left_over = {"build", "dist", "out", "runs", "__pycache__"}
    found = []
    for folder, inside, names in os.walk(ROOT):
        inside[:] = [
            name
            for name in inside
            if name == ".ci" or not (name.startswith(".") or name in left_over)
        ]
        found += [Path(folder, name) for name in names]
    return found


def blocks(document: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", document.read_text(), re.M | re.S)


def test_versions_are_in_step():
    versions = {project(name)["version"] for name in PACKAGES}
    assert len(versions) == 1
    (version,) = versions
    assert f"\nversion: {version}\n" in (ROOT / "CITATION.cff").read_text()
    assert f"\ncopyright: Version {version}," in (ROOT / "mkdocs.yml").read_text()
    for name in ("audio", "medical"):
        needs = {need.name: need for need in map(Requirement, project(name)["dependencies"])}
        assert str(needs["diff-core"].specifier) == f"=={version}"
    for name in PACKAGES:
        assert metadata.version(f"diff-{name}") == version


def test_the_core_asks_for_nothing_heavy_beyond_torch():
    needs = {need.name for need in map(Requirement, project("core")["dependencies"])}
    assert needs == {"torch", "numpy", "safetensors", "tqdm", "lazy-loader"}


def test_every_dependency_has_a_tested_version_that_it_admits():
    lines = (ROOT / "constraints.txt").read_text().splitlines()
    pins = [Requirement(line) for line in lines if line and not line.startswith("#")]
    tested = {canonicalize_name(pin.name): str(pin.specifier) for pin in pins}
    assert all(version.startswith("==") for version in tested.values())

    wanted = [Requirement(text) for name in PACKAGES for text in project(name)["dependencies"]]
    wanted += [
        Requirement(text)
        for name in PACKAGES
        for extra in project(name).get("optional-dependencies", {}).values()
        for text in extra
    ]
    for folder in ("tests", "benchmarks"):
        for line in (ROOT / folder / "requirements.txt").read_text().splitlines():
            if line and not line.startswith(("#", "./")):
                wanted.append(Requirement(line))
    for requirement in wanted:
        name = canonicalize_name(requirement.name)
        if not name.startswith("diff-"):
            assert requirement.specifier.contains(tested[name].removeprefix("==")), requirement


@pytest.mark.parametrize("name", PACKAGES)
def test_a_package_is_typed_and_carries_its_licence(name):
    folder = ROOT / "packages" / name
    assert (folder / "src" / f"diff_{name}" / "py.typed").is_file()
    assert (folder / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_weights_are_small_and_installed():
    weights = [path for path in files() if path.suffix == ".safetensors"]
    assert sum(path.stat().st_size for path in weights) <= 96 * MEGABYTE
    for package in ("diff_audio", "diff_medical"):
        mine = [path for path in weights if package in path.parts]
        assert mine, f"{package} has no weights"
        assert max(path.stat().st_size for path in mine) <= 16 * MEGABYTE
        installed = {file.name for file in metadata.files(package.replace("_", "-")) or ()}
        source = metadata.distribution(package.replace("_", "-")).read_text("direct_url.json")
        if '"editable": true' not in (source or ""):
            assert {path.name for path in mine} <= installed


def test_no_file_is_large_or_names_what_users_do_not_have():
    outside = re.compile(r"\.\./" + r"shared|[\"'(\s]/(?:home|root|work)/")
    for path in files():
        assert path.stat().st_size <= 16 * MEGABYTE, path
        if path.suffix in {".py", ".md", ".toml", ".txt", ".json", ".yml", ".cfg", ""}:
            text = path.read_bytes().decode("utf-8", "ignore")
            assert not outside.search(text), f"{path}: {outside.search(text)}"


def test_readme_says_what_ci_runs_and_names_only_what_exists():
    shell = blocks(ROOT / "README.md", "sh")
    install, test = shell[0].strip(), shell[1].strip()
    assert "\n" not in install and "\n" not in test
    assert test in (ROOT / ".ci" / "run").read_text()
    for command in (install, test):
        for word in re.findall(r"(?<= )[\w./]+\.(?:txt|py)|\./packages/\w+", command):
            assert (ROOT / word).exists(), word
    for target in re.findall(r"\]\(([^)#]+)\)", (ROOT / "README.md").read_text()):
        assert target.startswith("http") or (ROOT / target).exists(), target


def test_readme_commands_are_there(monkeypatch, capsys):
    modules = set()
    for name in ("README.md", "packages/audio/README.md", "packages/medical/README.md"):
        modules |= set(re.findall(r"python -m (diff_\w+\.\w+)", (ROOT / name).read_text()))
    assert {"diff_audio.denoise", "diff_medical.enhance"} <= modules
    for module in sorted(modules):
        monkeypatch.setattr(sys, "argv", [module, "--help"])
        monkeypatch.delitem(sys.modules, module, raising=False)  # as a process begins
        with pytest.raises(SystemExit) as end:
            runpy.run_module(module, run_name="__main__")
        assert not end.value.code
        assert "Usage" in capsys.readouterr().out


@pytest.mark.slow
def test_readme_python_improves_both_examples(monkeypatch):
    monkeypatch.chdir(ROOT)
    _, audio, voice, medical = blocks(ROOT / "README.md", "python")
    names: dict = {}
    exec(audio, names)
    reference, _ = soundfile.read("examples/speech_clean.wav")
    assert names["clean"].shape == reference.shape
    assert correlation(names["clean"], reference) > correlation(names["wave"], reference)
    exec(voice, names)
    assert names["rate"] == 22050 and 0.5 < len(names["wave"]) / names["rate"] < 3
    assert 0.01 < names["wave"].std() < 0.5
    exec(medical, names)
    noisy, enhanced = names["scan"].get_fdata(), names["enhanced"]
    assert enhanced.shape == noisy.shape
    # White noise is most of what neighbouring voxels do not share.
    assert np.diff(enhanced, axis=0).std() < np.diff(noisy, axis=0).std()


def correlation(one: np.ndarray, other: np.ndarray) -> float:
    return float(np.corrcoef(one.ravel(), other.ravel())[0, 1])


def test_core_readme_runs_as_printed(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    sampling, training = blocks(ROOT / "packages" / "core" / "README.md", "python")
    names: dict = {}
    exec(sampling, names)
    # Three tenths of the mixture lie at -1 and seven at 1; the share of 2000 draws has a standard
    # deviation of 0.01.
    share = (names["x_0"] > 0).double().mean().item()
    assert abs(share - 0.7) < 0.05
    names = {}
    exec(training, names)
    saved, card = names["io"].load(tmp_path / "waves.safetensors")
    assert card.name == "waves"
    expected = names["denoiser"].state_dict()
    assert all(bool((value == expected[key]).all()) for key, value in saved.state_dict().items())


def test_the_noisy_recording_is_the_clean_one_beside_a_fan_at_5_db(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "examples")
    import make_speech

    clean, rate = soundfile.read(ROOT / "examples" / "speech_clean.wav")
    noisy, noisy_rate = soundfile.read(ROOT / "examples" / "speech_noisy.wav")
    assert (noisy_rate, noisy.shape) == (rate, clean.shape)
    # One step of 16 bits for rounding that differs between machines.
    assert np.abs(make_speech.mix(clean, rate) - noisy).max() <= 1.01 / 2**15
    # The fan does not follow the voice, so the projection on the clean file finds its gain.
    gain = (noisy @ clean) / (clean @ clean)
    noise = noisy - gain * clean
    snr = 10 * np.log10(np.mean((gain * clean) ** 2) / np.mean(noise**2))
    assert abs(snr - 5.0) < 0.2
