"""The gyro's filters, against scipy's designs."""

from __future__ import annotations

from dataclasses import astuple, replace

import numpy as np
import pytest
from scipy import signal

from orchestrator.aim.filters import PASS, low_pass, notch
from tests.aim.axes import GOOD
from tests.aim.oracle import biquads


@pytest.mark.parametrize("rate_hz", [400.0, 800.0, 1000.0, 2000.0])
@pytest.mark.parametrize("corner_hz", [5.0, 42.0, 120.0, 199.0])
def test_low_pass_is_a_butterworth(corner_hz: float, rate_hz: float) -> None:
    """Coefficient by coefficient that of scipy's second-order design."""
    theirs = biquads(replace(GOOD, gyro_lpf_hz=corner_hz), rate_hz)[0]
    assert theirs == pytest.approx(astuple(low_pass(corner_hz, rate_hz)), rel=1e-9)


@pytest.mark.parametrize("asked", [(55.0, 20.0, 30.0), (10.0, 2.0, 60.0), (180.0, 100.0, 5.0)])
def test_notch_is_the_analogue_one_transformed(asked: tuple[float, float, float]) -> None:
    """Coefficient by coefficient the bilinear transform with its centre kept."""
    names = ("notch_hz", "notch_bandwidth_hz", "notch_attenuation_db")
    theirs = biquads(replace(GOOD, **dict(zip(names, asked, strict=True))), 1000.0)[1]
    assert theirs == pytest.approx(astuple(notch(*asked, 1000.0)), rel=1e-9)


@pytest.mark.parametrize("attenuation_db", [5.0, 30.0, 60.0])
def test_notch_takes_out_what_it_says(attenuation_db: float) -> None:
    """The attenuation at the centre, nothing far away."""
    made = notch(55.0, 20.0, attenuation_db, 1000.0)
    b, a = [made.b0, made.b1, made.b2], [1.0, made.a1, made.a2]
    gain = 20 * np.log10(np.abs(signal.freqz(b, a, [0.0, 55.0, 450.0], fs=1000.0)[1]))
    assert [0.0, -attenuation_db, 0.0] == pytest.approx(gain, abs=0.1)


def test_notch_at_0_lets_everything_through() -> None:
    """0 Hz is off, whatever the other two say."""
    assert notch(0.0, 0.0, 0.0, 1000.0) is PASS
