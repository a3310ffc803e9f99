"""Timer: how long something took, the device waited for."""

from __future__ import annotations

import time

import caffe


def test_a_timer_counts_fractions_of_milliseconds():
    timer = caffe.Timer()
    timer.start()
    time.sleep(0.0015)
    timer.stop()
    assert isinstance(timer.ms, float) and timer.ms >= 1 and timer.ms != int(timer.ms)
