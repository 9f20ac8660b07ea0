"""A scripted module of 3D Slicer: removes noise from a volume by `diff-medical enhance`.

Slicer keeps a Python of its own. This module runs the command in yours, which you choose once, so
that nothing is installed into Slicer.
"""

import os
import tempfile
from pathlib import Path

import ctk
import qt
import slicer
from DiffEnhanceCommand import command, enhance
from slicer.ScriptedLoadableModule import (
    ScriptedLoadableModule,
    ScriptedLoadableModuleLogic,
    ScriptedLoadableModuleTest,
    ScriptedLoadableModuleWidget,
)
from slicer.util import VTKObservationMixin

SETTING = "DiffEnhance/Python"


class DiffEnhance(ScriptedLoadableModule):
    """The module's entry in Slicer."""

    def __init__(self, parent):
        ScriptedLoadableModule.__init__(self, parent)
        parent.title = "Enhance (diffusion)"
        parent.categories = ["Filtering.Denoising"]
        parent.contributors = ["The authors of diff_core, diff_audio and diff_medical"]
        parent.helpText = (
            "Removes noise from MR and CT volumes with diff-medical, on this machine. "
            "For research; not a medical device."
        )


class DiffEnhanceWidget(ScriptedLoadableModuleWidget, VTKObservationMixin):
    """The panel: a volume, three options, a Python and a button."""

    def __init__(self, parent=None):
        ScriptedLoadableModuleWidget.__init__(self, parent)
        VTKObservationMixin.__init__(self)

    def setup(self):
        ScriptedLoadableModuleWidget.setup(self)
        form = qt.QFormLayout()
        self.layout.addLayout(form)
        self.volume = slicer.qMRMLNodeComboBox()
        self.volume.nodeTypes = ["vtkMRMLScalarVolumeNode"]
        self.volume.addEnabled = self.volume.removeEnabled = False
        self.volume.setMRMLScene(slicer.mrmlScene)
        form.addRow("Volume", self.volume)
        self.modality = _choice(("auto", "mr", "ct"))
        form.addRow("Modality", self.modality)
        self.quality = _choice(("draft", "default", "best"), "default")
        form.addRow("Quality", self.quality)
        self.strength = ctk.ctkSliderWidget()
        self.strength.minimum, self.strength.maximum = 0.0, 1.0
        self.strength.singleStep, self.strength.value = 0.05, 1.0
        form.addRow("Strength", self.strength)
        self.python = ctk.ctkPathLineEdit()
        self.python.filters = ctk.ctkPathLineEdit.Files
        self.python.currentPath = slicer.app.settings().value(SETTING) or ""
        self.python.setToolTip("The Python of an environment with diff-medical and its extra itk")
        form.addRow("Python", self.python)
        self.button = qt.QPushButton("Enhance")
        self.button.connect("clicked(bool)", self.onClicked)
        form.addRow(self.button)
        self.layout.addStretch(1)

    def onClicked(self, _checked=False):
        slicer.app.settings().setValue(SETTING, self.python.currentPath)
        with slicer.util.tryWithErrorDisplay("The volume was not enhanced.", waitCursor=True):
            DiffEnhanceLogic().run(
                self.volume.currentNode(),
                self.python.currentPath,
                modality=self.modality.currentText,
                strength=self.strength.value,
                quality=self.quality.currentText,
            )


def _choice(names, chosen=None):
    box = qt.QComboBox()
    box.addItems(list(names))
    box.setCurrentText(chosen or names[0])
    return box


class DiffEnhanceLogic(ScriptedLoadableModuleLogic):
    """The work, without a panel."""

    def run(self, volume, python, *, modality="auto", strength=1.0, quality="default"):
        """Return a new volume node beside `volume`; raises ValueError or RuntimeError."""
        if volume is None or not python:
            raise ValueError("choose a volume and a Python that has diff-medical")
        with tempfile.TemporaryDirectory() as folder:
            source, target = Path(folder, "in.nrrd"), Path(folder, "out.nrrd")
            slicer.util.saveNode(volume, str(source), {"useCompression": 0})
            words = command(
                python, source, target, modality=modality, strength=strength, quality=quality
            )
            enhance(words, slicer.util.showStatusMessage, environment=dict(os.environ))
            made = slicer.util.loadVolume(str(target))
        made.SetName(f"{volume.GetName()} enhanced")
        slicer.util.setSliceViewerLayers(background=volume, foreground=made, foregroundOpacity=1.0)
        return made


class DiffEnhanceTest(ScriptedLoadableModuleTest):
    """A run on a cube with noise; needs DIFF_PYTHON, the Python to use."""

    def runTest(self):
        import numpy as np

        slicer.mrmlScene.Clear()
        values = np.zeros((40, 40, 40), np.float32)
        values[10:30, 10:30, 10:30] = 100
        noisy = values + np.random.default_rng(0).normal(0, 5, values.shape).astype(np.float32)
        volume = slicer.util.addVolumeFromArray(noisy)
        logic = DiffEnhanceLogic()
        made = logic.run(volume, os.environ["DIFF_PYTHON"], modality="mr", quality="draft")
        result = slicer.util.arrayFromVolume(made)
        self.assertEqual(result.shape, values.shape)
        self.assertLess(np.std(result - values), np.std(noisy - values))
