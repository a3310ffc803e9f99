"""gflags' command lines."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe.tools.flags import LOGGING, Flag, UsageError, describe, parse

FLAGS = {"model": Flag("", "a file"), "iterations": Flag(50, "a number"), "gray": Flag(False, "a switch")}


def read(*argv):
    values, words = parse(argv, FLAGS)
    return {name: value for name, value in values.items() if name in FLAGS}, words


def test_defaults():
    assert read() == ({"model": "", "iterations": 50, "gray": False}, [])


@pytest.mark.parametrize("argv", [
    ("time", "-model", "net", "-iterations=7", "-gray"),
    ("-model=net", "time", "--iterations", "7", "--gray=true"),
    ("--model=net", "--iterations=7", "--gray=Y", "time"),
    ("-nogray", "-iterations", "3", "-model", "x", "time", "-model=net", "-iterations", "0x7", "-gray=1"),
])  # fmt: skip
def test_flags_stand_anywhere_in_either_style(argv):
    assert read(*argv) == ({"model": "net", "iterations": 7, "gray": True}, ["time"])


def test_a_switch_takes_no_word_and_two_dashes_alone_end_the_flags():
    assert read("-gray", "false", "-nogray", "--", "-model", "-") == (
        {"model": "", "iterations": 50, "gray": False},
        ["false", "-model", "-"],
    )


def test_values_may_begin_with_a_dash_or_hold_an_equals_sign():
    values, _ = read("-iterations", "-3", "-model", "a=b", "-model=-c=d")
    assert values == {"model": "-c=d", "iterations": -3, "gray": False}


def test_dashes_in_names_are_underscores():
    values, _ = parse(["--log-dir=/tmp"], {})
    assert values["log_dir"] == "/tmp" and values.keys() == LOGGING.keys()


@pytest.mark.parametrize(("argv", "message"), [
    (["-modell=x", "--nothing"], "ERROR: unknown command line flag 'modell'\n"
                                 "ERROR: unknown command line flag 'nothing'"),
    (["-nomodel"], "ERROR: unknown command line flag 'nomodel'"),
    (["-iterations", "ten"], "ERROR: illegal value 'ten' specified for int32 flag 'iterations'"),
    (["-iterations=3000000000"], "ERROR: illegal value '3000000000' specified for int32 flag 'iterations'"),
    (["-gray=maybe"], "ERROR: illegal value 'maybe' specified for bool flag 'gray'"),
    (["-model"], "ERROR: flag '-model' is missing its argument; a file"),
])  # fmt: skip
def test_mistakes_are_named(argv, message):
    with pytest.raises(UsageError) as caught:
        read(*argv)
    assert str(caught.value) == message


INT32 = st.integers(-(2**31), 2**31 - 1)
WORDS = st.lists(st.text().filter(lambda word: not word.startswith("-")))


@given(st.text(), INT32, st.booleans(), WORDS)
def test_what_is_written_is_read(model, iterations, gray, words):
    argv = [*words, f"--model={model}", "-iterations", str(iterations), f"-gray={str(gray).lower()}"]
    assert read(*argv) == ({"model": model, "iterations": iterations, "gray": gray}, words)


def test_the_description_has_every_flag_with_type_and_default():
    text = describe(FLAGS)
    assert [line.split()[0] for line in text.splitlines()] == ["-gray", "-iterations", "-model"]
    assert "-iterations (a number) type: int32 default: 50" in text
    assert '-model (a file) type: string default: ""' in text
