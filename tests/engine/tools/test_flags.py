"""gflags' command lines, as Caffe's binaries read them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from caffe.tools.command import parse_flags
from caffe.tools.flags import LOGGING, OWN, Answer, Flag, UsageError
from caffe.tools.usage import Program

FLAGS = {"model": Flag("", "a file"), "iterations": Flag(50, "a number"), "gray": Flag(False, "a switch")}
PROGRAM = Program("tool", "what it does", FLAGS, words=(0, 1000))


def read(*argv: str) -> tuple[dict[str, Any], list[str]]:
    values, words = parse_flags(argv, PROGRAM)
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
    values, _ = parse_flags(["--log-link=/tmp"], PROGRAM._replace(flags={}))
    assert values["log_link"] == "/tmp" and values.keys() == LOGGING.keys() | OWN.keys()


@pytest.mark.parametrize(("argv", "message"), [
    (["-modell=x", "--nothing"], "ERROR: unknown command line flag 'modell'\n"
                                 "ERROR: unknown command line flag 'nothing'"),
    (["-nomodel"], "ERROR: boolean value (nomodel) specified for string command line flag"),
    (["-iterations", "ten"], "ERROR: illegal value 'ten' specified for int32 flag 'iterations'"),
    (["-iterations=3000000000"], "ERROR: illegal value '3000000000' specified for int32 flag 'iterations'"),
    (["-gray=maybe"], "ERROR: illegal value 'maybe' specified for bool flag 'gray'"),
    (["-iterations=1_0"], "ERROR: illegal value '1_0' specified for int32 flag 'iterations'"),
    (["word", "--model"], "ERROR: flag '--model' is missing its argument; flag description: a file"),
    (["-zz", "-gray=2", "-aa"], "ERROR: unknown command line flag 'aa'\n"
                                "ERROR: illegal value '2' specified for bool flag 'gray'\n"
                                "ERROR: unknown command line flag 'zz'"),
])  # fmt: skip
def test_mistakes_are_named(argv, message):
    with pytest.raises(UsageError) as caught:
        read(*argv)
    assert (str(caught.value), caught.value.status, caught.value.stream) == (message, 1, "stderr")


INT32 = st.integers(-(2**31), 2**31 - 1)
WORDS = st.lists(st.text().filter(lambda word: not word.startswith("-")))


@given(st.text(), INT32, st.booleans(), WORDS)
def test_what_is_written_is_read(model, iterations, gray, words):
    argv = [*words, f"--model={model}", "-iterations", str(iterations), f"-gray={str(gray).lower()}"]
    assert read(*argv) == ({"model": model, "iterations": iterations, "gray": gray}, words)


# -- files and the environment ------------------------------------------------------------------------


def test_a_flag_file_counts_from_where_it_stands(in_tmp):
    Path("outer").write_text("# a comment\n\n  --model=outer\n-flagfile=inner\n-gray\n")
    Path("inner").write_bytes(b"\xef\xbb\xbf-iterations=3\r\n--unknown=1\r\n-model\r\n")
    assert read("-model=line", "-flagfile=outer", "word") == (
        {"model": "outer", "iterations": 3, "gray": True}, ["word"],
    )  # fmt: skip
    assert read("-flagfile", "outer", "-model=line", "-nogray")[0]["model"] == "line"
    assert read("-flagfile=inner,outer")[0] == {"model": "outer", "iterations": 3, "gray": True}


def test_sections_of_a_flag_file_are_for_the_programs_they_name(in_tmp):
    Path("flags").write_text(
        "-iterations=1\nother\n-iterations=2\n-gray\nother to*\n-model=mine\n"
        "tool\nother\n-iterations=4\nrest\n-gray\n"
    )
    assert read("-flagfile=flags")[0] == {"model": "mine", "iterations": 4, "gray": False}


def test_the_environment(monkeypatch):
    monkeypatch.setenv("FLAGS_model", "theirs")
    monkeypatch.setenv("FLAGS_gray", "yes")
    assert read()[0] == {"model": "", "iterations": 50, "gray": False}
    assert read("-fromenv=model,gray", "-nogray")[0] == {"model": "theirs", "iterations": 50, "gray": False}
    assert read("-tryfromenv=iterations,gray")[0] == {"model": "", "iterations": 50, "gray": True}


@pytest.mark.parametrize(("argv", "message"), [
    (["-flagfile=nowhere"], "nowhere: No such file or directory"),
    (["-flagfile=wrong"], "ERROR: illegal value 'x' specified for int32 flag 'iterations'"),
    (["-flagfile=circle"], "ERROR: infinite recursion: circle -> circle"),
    (["-fromenv=model"], "ERROR: FLAGS_model not found in environment"),
    (["-tryfromenv=modell"], "ERROR: unknown command line flag 'modell' (via --fromenv or --tryfromenv)"),
    (["-fromenv=fromenv"], "ERROR: infinite recursion: FLAGS_fromenv -> FLAGS_fromenv"),
    (["-fromenv=gray,,model"], "ERROR: empty flaglist entry"),
    (["-undefok=-a"], "ERROR: flag \"-a\" begins with '-'"),
])  # fmt: skip
def test_what_is_wrong_with_files_and_the_environment(argv, message, in_tmp, monkeypatch):
    Path("wrong").write_text("-iterations=x\n")
    Path("circle").write_text("-flagfile=circle\n")
    monkeypatch.setenv("FLAGS_fromenv", "fromenv")
    with pytest.raises(UsageError) as caught:
        read(*argv)
    assert str(caught.value) == message


def test_flags_that_need_not_be_known():
    values, words = read("-foo=1", "-nobar", "word", "-undefok=foo,bar")
    assert words == ["word"] and values["model"] == ""
    with pytest.raises(UsageError, match="^ERROR: unknown command line flag 'baz'$"):
        read("-undefok=foo", "-foo", "-baz")


# -- help ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("argv", "own", "all_of_them"), [
    (["-helpshort"], True, False),
    (["-helppackage"], True, False),
    (["-helpon=tool"], True, False),
    (["-helpon=gflags"], False, False),
    (["-helpmatch=too"], True, False),
    (["-helpmatch=nothing"], False, False),
    (["--help"], True, True),
    (["-helpfull", "-unknown"], True, True),
    (["-helpxml"], True, True),
])  # fmt: skip
def test_help_is_printed_with_status_1_whatever_else_is_on_the_line(argv, own, all_of_them):
    with pytest.raises(Answer) as caught:
        read(*argv)
    text = str(caught.value)
    assert (caught.value.status, caught.value.stream) == (1, "stdout")
    assert "what it does" in text
    assert [name for name in FLAGS if name in text] == (list(FLAGS) if own else [])
    assert all(name in text for name in (*LOGGING, *OWN)) == all_of_them


def test_the_description_has_every_flag_with_type_and_default():
    with pytest.raises(Answer) as caught:
        read("-helpshort")
    _, _, text = str(caught.value).partition("Flags from tools/tool:\n")
    assert [line.split()[0] for line in text.splitlines()] == ["-gray", "-iterations", "-model"]
    assert "-iterations (a number) type: int32 default: 50" in text
    assert '-model (a file) type: string default: ""' in text


def test_the_version_is_no_mistake():
    with pytest.raises(Answer) as caught:
        read("-version", "-unknown")
    assert caught.value.status == 0 and str(caught.value).startswith("tool version ")


@pytest.mark.parametrize(("word", "shown"), [
    ("gra", "--gray"),
    ("--iter", "--iterations"),
    ("tab", "--tab_completion_"),
    ("zzz", ""),
    ("help", "--help [false] print the usage and all flags"),
])  # fmt: skip
def test_a_shell_completes_flags(word, shown):
    with pytest.raises(Answer) as caught:
        read(f"--tab_completion_word={word}", "--tab_completion_columns=60")
    lines = str(caught.value).splitlines() or [""]
    assert caught.value.status == 0 and lines[0] == shown and max(map(len, lines)) <= 60
