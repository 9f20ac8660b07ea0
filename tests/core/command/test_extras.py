"""What is not installed of a distribution's requirements, from real metadata on the path."""

import pytest

from diff_core.command import App, run
from diff_core.command.doctor import Doctor
from diff_core.command.extras import Need, extras, missing, needs
from diff_core.command.train import training_command


@pytest.fixture
def installed(tmp_path, monkeypatch):
    """Two distributions: `upper`, whose extra asks for an extra of `lower`."""

    def distribution(name: str, *lines: str) -> None:
        folder = tmp_path / f"{name}-1.0.dist-info"
        folder.mkdir()
        text = "".join(f"{line}\n" for line in ("Metadata-Version: 2.4", f"Name: {name}", *lines))
        (folder / "METADATA").write_text(f"{text}Version: 1.0\n")

    distribution(
        "upper",
        "Requires-Dist: lower[light, far]==1.0",
        "Requires-Dist: absent-base>=2",
        'Requires-Dist: lower[heavy]==1.0; extra == "work"',
        "Requires-Dist: absent-own; (python_version > '3') and extra == 'work'",
        "Requires-Dist: upper[work]; extra == 'all'",
    )
    distribution(
        "lower",
        'Requires-Dist: absent-heavy>=1; extra == "heavy"',
        'Requires-Dist: numpy; extra == "light"',
    )
    monkeypatch.syspath_prepend(str(tmp_path))


def test_requirements_are_read_with_their_extras(installed):
    assert list(needs("upper")) == [Need("lower", ("light", "far")), Need("absent-base")]
    assert list(needs("upper", "work")) == [Need("lower", ("heavy",)), Need("absent-own")]
    assert extras("upper") == ["work", "all"] and extras("lower") == ["heavy", "light"]
    assert Need("lower").version == "1.0" and Need("absent-base").version == ""


def test_what_is_missing_is_found_through_extras_of_extras(installed):
    assert missing("upper") == ["absent-base"]
    assert missing("upper", "work") == ["absent-heavy", "absent-own"]
    assert missing("upper", "all") == ["absent-heavy", "absent-own"]
    assert missing("lower", "light") == []
    assert missing("no-such-distribution") == []


def test_training_asks_for_its_extra_in_one_line(installed, tmp_path, capsys):
    app = App()
    training_command(
        app, "all", "no.such.module", tmp_path / "recipe.yaml", command="upper.work", help="Train."
    )
    extra = tmp_path / "upper-1.0.dist-info" / "METADATA"
    extra.write_text(extra.read_text().replace("'all'", "'train'"))
    words = ["--data", str(tmp_path), "--out", str(tmp_path / "run")]
    assert run(app, "upper.work", words) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("training needs absent-heavy, absent-own; pip install 'upper[train]'")
    assert not (tmp_path / "run").exists()


def test_the_doctor_names_the_extra_to_install(installed, tmp_path):
    checks = {check.name: check for check in Doctor("upper", tmp_path, {}).checks()}
    assert checks["absent-base"].state == "bad"
    assert checks["extra work"].seen == "without absent-heavy, absent-own"
    assert checks["extra all"].advice == 'for it: pip install "upper[all]"'
