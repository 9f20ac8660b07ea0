"""Windows of CT in closed form."""

import numpy as np

from diff_medical.scan.intensity import WINDOWS, Window


def test_a_window_is_a_ramp_between_black_and_white() -> None:
    values = np.array([-200.0, -150.0, 50.0, 150.0, 250.0, 3000.0])
    assert WINDOWS["abdomen"](values).tolist() == [0.0, 0.0, 0.5, 0.75, 1.0, 1.0]
    seen = Window(40, 80)(values)
    assert seen.dtype == np.float32 and seen.shape == values.shape


def test_the_windows_are_those_of_the_benchmark() -> None:
    found = {name: (w.centre, w.width) for name, w in WINDOWS.items()}
    assert found == {"chest": (-600, 1500), "abdomen": (50, 400), "head": (40, 80)}
