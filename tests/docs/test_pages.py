"""The code of the pages runs: Python, and commands through their real main; links lead somewhere.

Each page gets a folder with small files under the names that the pages use (`page_files`), and its
blocks run there in their order, in one process. Commands that make many files or train for hours
are made smaller (`SMALLER`), those in `PLANNED` are only read: options, and a recipe's settings.
What is not run at all is in `ELSEWHERE`, and there is no other way not to be run.
"""

from __future__ import annotations

import ast
import io
import re
import runpy
import shlex
import shutil
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
import torch

from diff_core import Edm, FromFlow, RectifiedFlow
from diff_core.exact import ExactDenoiser, Mixture
from diff_core.nn import UNet
from diff_core.train import TrainConfig
from diff_core.train.recipe import read_recipe
from diff_core.train.sweep import Sweep
from page_files import prepare
from pages import PAGES, ROOT, Block, blocks, called, command, home, lines

ELSEWHERE = {
    "README.md python 2-4": "test_workspace.py runs them on the examples",
    "packages/core/README.md python": "test_workspace.py",
    "docs/how/index.md python": "test_how.py compares what they print",
    r"pip install|-m venv": "installs: .ci/run and `nox -s build` do it",
    r"^flite ": "another project's program, which spoke the example",
    r"brain-prepare": "needs template and atlas: test_preparation.py makes small ones",
    r"--from scan": "needs a head that the model knows: tests/medical/brain/test_relatives.py",
    r"token_urlsafe|TOKEN=|^curl ": "ask a running server: test_serve.py",
    r"monai\.bundle": "needs `fire`; test_bundle.py runs the bundle through MONAI's parser",
}
"""What no test here runs, and what does: pages with a language, else the words of a command."""

PLANNED = {
    r"^accelerate launch": "several processes: test_train_processes.py, test_command_team.py",
    r"diff_audio\.train (vocoder|voice)": "test_vocoder_train.py, test_voice_training.py",
    r"diff_audio\.train (live|restore)": "test_train_sound.py",
    r"diff_audio\.live --weights \S+$": "needs a microphone; test_live.py has a file for one",
    r"diff_medical\.train generate": "test_generator_training.py",
    r"diff_medical\.train brain-": "tests/medical/brain/test_training.py",
    r"train \w+ --(data scans/ --out run/|speech speech/ --noise noise/ --out runs/mine)$": (
        "docs/use/training.md runs them with other settings"
    ),
    r"train .*(DIR|RUN|FIRST)": "the training of a shipped model, hours of it",
    r"(blend|compact) .*denoise": "their blend",
    r"(DIR|enhance) --calibration": "minutes; test_evaluate.py",
    r"diff_medical\.(audit|fidelity)": "many scans; test_audit_cli.py, test_fidelity_cli.py",
    r"diff_audio\.evaluate .*--transcripts": "seconds; test_evaluate_words.py",
    r"diff_audio\.evaluate .* scores.csv$": "docs/use/evaluation.md runs the same and draws it",
    r"--sweep": "tests/core/train/test_sweep.py",
    r"studio": "does not end by itself; test_studio.py and test_studio_scans.py",
    r"diff.audio serve|diff_\w+\.serve": "does not end by itself; test_serve.py",
    r"^python examples/core/whole.py": "test_examples.py runs it",
    r"^python benchmarks/": "minutes to hours, on data that the repository does not hold",
}
"""Commands whose words are only checked, and why."""

SOUND = "train.steps=1 train.batch_size=2 train.validate_every=1 mixing.seconds=0.5"
SOUND += " validation.count=1 validation.seconds=1.0 --device cpu"
SCAN = "train.steps=4 train.batch_size=2 train.snapshot_every=1 train.validate_every=4"
SCAN += " patches.size=16 --out runs/scans --device cpu"
OWN = "train.steps=2 train.batch_size=2 channels=[8,16] --device cpu"
SMALLER = {
    r"diff_audio\.train denoise": SOUND,
    r"diff_medical\.train enhance": SCAN,
    r"diff_medical\.generate": "-n 1 --steps 2",
    r"diff_medical\.generate (?!.*(--experimental|--list))": "--weights brain/",
    r"diff_medical\.enhance": "--device cpu",
}
"""Options that follow those of a page, of commands that begin so; the last of a name is what
counts.
"""

BOOK = "It rained. Nobody came."


def given(page: str, folder: Path) -> dict[str, Any]:
    """The names that a page's code takes from what comes before it."""
    if page == "README.md":
        mixture = Mixture(*torch.tensor([[0.3, 0.7], [-1.0, 1.0], [0.1, 0.2]]))
        x = Edm().sigma(torch.tensor(1.0)) * torch.randn(5, 2)
        return {"denoiser": ExactDenoiser(mixture, Edm()), "x": x, "seeds": range(5)}
    if page == "docs/core/distillation.md":
        torch.manual_seed(0)
        pieces = [{"x_0": torch.randn(1, 8)} for _ in range(4)]
        judge = UNet(spatial=1, in_channels=1, out_channels=1, channels=(4,))
        return {
            "teacher": FromFlow(UNet(1, 1, 1, (4,)), RectifiedFlow()),
            "network": judge,
            "samples": pieces,
            "config": TrainConfig(steps=1, batch_size=2, precision="float32"),
            "runs": folder / "runs",
        }
    wave, rate = soundfile.read(folder / "in.wav")
    return {
        "wave": wave,
        "rate": rate,
        "book": BOOK,
        "log_mel": torch.from_numpy(np.load(folder / "mel.npy")),
        "microphone": np.array_split(np.repeat(wave, 3), 4),
        "play": [].append,
    }


def elsewhere(text: str) -> bool:
    return any(re.search(pattern, text) for pattern in ELSEWHERE)


def shown(page: Path) -> list[Block]:
    """The blocks of a page that this file answers for."""
    found = blocks(page, "sh", "python", "yaml")
    name = str(page.relative_to(ROOT))
    if f"{name} python" in ELSEWHERE:
        return [block for block in found if block.language != "python"]
    if name == "README.md":
        snippets = [block for block in found if block.language == "python"]
        return [block for block in found if block not in snippets[1:]]
    return found


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pages")
    prepare(folder)
    return folder


@pytest.mark.slow
@pytest.mark.parametrize(
    "page", [p for p in PAGES if shown(p)], ids=lambda p: str(p.relative_to(ROOT))
)
def test_blocks_of_a_page_run_in_their_order(
    page: Path,
    files: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    folder = shutil.copytree(files, tmp_path / "here")
    monkeypatch.chdir(folder)
    monkeypatch.syspath_prepend(folder)
    names = given(str(page.relative_to(ROOT)), folder)
    for block in shown(page):
        capsys.readouterr()
        try:
            told = carry_out(block, names, monkeypatch)
            printed = capsys.readouterr().out
            assert told in (None, printed)
        except BaseException as error:
            where = f"{page.relative_to(ROOT)}:{block.line}: {error!r}"
            raise AssertionError("\n".join([where, *capsys.readouterr()])) from error


def carry_out(block: Block, names: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> str | None:
    """Runs a block; returns what the page says that it prints, if it says so.

    A block that begins with the comment `# NAME.py` or `# NAME.yaml` is that file. A command that
    runs it may follow.
    """
    file = re.match(r"# (\w+\.(?:py|yaml))(?:: python (.*))?\n", block.text)
    if file:
        Path(file[1]).write_text(block.text)
        if file[2]:
            monkeypatch.setattr(sys, "argv", [*file[2].split(), *OWN.split()])
            with pytest.raises(SystemExit) as end:
                runpy.run_path(file[1], run_name="__main__")
            assert not end.value.code
    elif block.language == "python":
        exec(compile(block.text, "block", "exec"), names)
        return block.output
    elif block.text.startswith("$ "):
        first, _, below = block.text.partition("\n")
        for words in lines(first.removeprefix("$ ")):
            shell(words, monkeypatch)
        return below
    else:
        for words in lines(block.text):
            shell(words, monkeypatch)
    return None


def shell(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Runs or reads one command."""
    text = shlex.join(words)
    if elsewhere(text):
        return
    if "|" in words:  # echo TEXT | command
        assert words[0] == "echo"
        pipe = words.index("|")
        said = io.BytesIO(" ".join(words[1:pipe]).encode())
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(said))
        words = words[pipe + 1 :]
    found = called(words)
    if found is None:
        other(words)
        return
    if words[0] == "accelerate":
        from accelerate.commands.launch import launch_command_parser  # a second, for one page

        launch_command_parser().parse_args(words[2:])
    module, arguments = found
    if any(re.search(pattern, text) for pattern in PLANNED):
        read(module, arguments, monkeypatch)
        return
    for start, more in SMALLER.items():
        if re.match(start, f"{module} {' '.join(arguments)}"):
            arguments = [*arguments, *more.split()]
    reached, _ = command(module, arguments)
    options = {name for parameter in reached.params for name in parameter.opts}
    if "--overwrite" in options and "--skip-existing" not in arguments:
        arguments = [*arguments, "--overwrite"]
    code = home(module).main(arguments)
    assert code == 0, f"exit code {code}: {module} {shlex.join(arguments)}"


def other(words: list[str]) -> None:
    """python -c CODE, or a benchmark or module of the core, whose options its source must name."""
    assert words[0] == "python", words
    if words[1] == "-c":
        # eight seconds of sound become one
        exec(compile(words[2].replace("128000", "16000"), "python -c", "exec"), {})
        return
    assert any(re.search(pattern, shlex.join(words)) for pattern in PLANNED), words
    source = ROOT / words[1]
    if words[1] == "-m":
        source = ROOT / "packages/core/src" / f"{words[2].replace('.', '/')}.py"
    known = set(constants(source))
    assert {word for word in words[2:] if word.startswith("--")} <= known, words


def constants(source: Path) -> Iterator[str]:
    """The strings in a script and in the scripts beside it that it imports."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            yield node.value
        elif isinstance(node, ast.ImportFrom) and node.module:
            beside = source.with_name(f"{node.module}.py")
            if beside.exists():
                yield from constants(beside)


def read(module: str, words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    """Options of a command; of a training also its recipe and settings: names, types, ranges."""
    if module.endswith(".train"):

        def plan(built: Any, recipe: Path, settings: Sequence[str], *_: object) -> None:
            path = recipe if recipe.exists() else ROOT / recipe
            assert read_recipe(built.Recipe, path, settings).train.steps > 0

        def sweep(built: Any, recipe: Path, settings: Sequence[str], *more: Any) -> None:
            for setting in read_recipe(Sweep, more[-1]).settings():
                plan(built, recipe, [*settings, *setting.overrides()])

        with monkeypatch.context() as replaced:
            replaced.setattr("diff_core.train.run.run_job", plan)
            replaced.setattr("diff_core.train.sweep_run.run_sweep", sweep)
            assert home(module).main([*words, "--out", "planned"]) == 0, words
    else:
        reached, rest = command(module, words)
        reached.make_context(module, rest)


def test_nothing_is_excused_that_is_not_there() -> None:
    commands = [
        shlex.join(words)
        for page in PAGES
        for block in shown(page)
        if block.language == "sh"
        for words in lines(block.text)
    ]
    for pattern in [*PLANNED, *(e for e in ELSEWHERE if ".md " not in e)]:
        assert any(re.search(pattern, command) for command in commands), pattern


def test_links_between_pages_lead_somewhere() -> None:
    for page in PAGES:
        for target in re.findall(r"\]\(([^)#\s]+)[^)]*\)", page.read_text()):
            if not re.match(r"https?:|mailto:", target):
                assert (page.parent / target).exists(), f"{page}: {target}"
