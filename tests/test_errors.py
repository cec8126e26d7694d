"""How a command ends when something goes wrong."""

import errno
import os

import pytest

from scripts.errors import ArgumentParser, UserError, run_main


@pytest.mark.parametrize(
    ("raised", "code", "said"),
    [
        (UserError("a is wrong; write b"), 1, "error: a is wrong; write b"),
        (
            OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), "data/x"),
            1,
            "error: no space is left on the disk (data/x); free some",
        ),
        (
            PermissionError(errno.EACCES, os.strerror(errno.EACCES), "results"),
            1,
            "error: no permission to write or read here (results)",
        ),
        (
            NotADirectoryError(errno.ENOTDIR, "Not a directory", "f"),
            1,
            "error: not a directory (f)",
        ),
        (KeyboardInterrupt(), 130, "error: interrupted"),
    ],
)
def test_one_sentence_and_an_exit_code(raised, code, said, capsys):
    def main():
        raise raised

    with pytest.raises(SystemExit) as ended:
        run_main(main)
    stderr = capsys.readouterr().err
    assert ended.value.code == code
    assert stderr.startswith(said)
    assert stderr.count("\n") == 1


def test_a_bug_of_ours_keeps_its_traceback():
    with pytest.raises(ZeroDivisionError):
        run_main(lambda: 1 // 0)


def test_success_and_a_code_of_mains_own():
    for returned, code in ((None, 0), (0, 0), (3, 3)):
        with pytest.raises(SystemExit) as ended:
            run_main(lambda value=returned: value)
        assert ended.value.code == code


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--seed", "one"], "argument --seed: invalid int value: 'one'"),
        (["--sed", "1"], "--sed"),
        (["--seed"], "argument --seed: expected one argument"),
    ],
)
def test_a_wrong_command_line_is_a_sentence(arguments, said, capsys):
    parser = ArgumentParser(prog="python -m scripts.some")
    parser.add_argument("--seed", type=int)
    with pytest.raises(UserError) as error:
        parser.parse_args(arguments)
    assert said in str(error.value)
    assert "`python -m scripts.some --help` says what there is" in str(error.value)
    assert capsys.readouterr() == ("", "")
