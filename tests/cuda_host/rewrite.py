"""Rewrites CUDA's own syntax into C++, for the test double of CUDA.

``kernel<<<config>>>(arguments)`` becomes a call of ``cuda_host::launch`` and a
``__shared__`` variable is filled with NaN where it is declared; every line keeps
its number. Files without either are left alone. What cannot be parsed stops the
build with its file and line, so that no launch is left out silently. It cannot
show what only nvcc checks (``nvcc -ptx`` does).

    rewrite.py SOURCE_ROOT OUTPUT_ROOT [--list]
"""

from __future__ import annotations

import re
import sys
from pathlib import Path

SKIP = re.compile(r'//(?:\\\n|[^\n])*|/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'', re.S)
SHARED = re.compile(r"__shared__\s+[^;,={}()]*?(\w+)\s*(?:\[[^;,]*\])*\s*;")
NAME = re.compile(r"(?:::)?\w+(?:\s*(?:##|::)\s*\w+)*\s*$")


def closing(code: str, start: int, opening: str, close: str) -> int:
    """Offset behind the ``close`` that ends the bracket open at ``start``."""
    depth = 0
    for i in range(start, len(code)):
        depth += (code[i] == opening) - (code[i] == close)
        if depth == 0:
            return i + 1
    raise ValueError(f"no '{close}' for this '{opening}'", start)


def launch(text: str, code: str, at: int) -> tuple[int, int, str]:
    """Start, end and replacement of the launch whose ``<<<`` is at ``at``."""
    end = len(code[:at].rstrip(" \t\n\\"))
    start = end
    if code[end - 1] == ">":  # template arguments
        flat = re.sub(r"\([^()]*\)", lambda m: " " * len(m[0]), code[:end])
        start = end - closing(flat[::-1], 0, ">", "<")
    name = NAME.search(code, 0, start)
    stop = code.find(">>>", at)
    arguments = code.find("(", stop)
    if not name or stop < 0 or code[stop + 3 : arguments].strip(" \t\n\\"):
        raise ValueError("cannot parse this kernel launch", at)
    last = closing(code, arguments, "(", ")")
    kernel, config = code[name.start() : end], text[at + 3 : stop]
    comma = "," if code[arguments + 1 : last - 1].strip(" \t\n\\") else ""
    call = (
        f"cuda_host::launch(CUDA_HOST_NAME({kernel}), __FILE__, __LINE__, {code[end:at]}"
        f"cuda_host::Config({config}), [&](auto... cuda_host_arguments) "
        f"{{ {kernel}(cuda_host_arguments...); }}{comma}{code[stop + 3 : arguments]}"
        f"{text[arguments + 1 : last]}"
    )
    return name.start(), last, call


def rewrite(text: str) -> str:
    """The text with every launch and every ``__shared__`` variable rewritten."""
    code = SKIP.sub(lambda m: re.sub(r"[^\n\\]|\\(?!\n)", " ", m[0]), text)
    edits = [launch(text, code, m.start()) for m in re.finditer("<<<", code)]
    for m in re.finditer(r"\b__shared__\b", code):
        declared = SHARED.match(code, m.start())
        if not declared or re.search(r"\bextern\s+$", code[: m.start()]):
            raise ValueError(
                "cannot parse this shared variable: declare one of a fixed size and without '='",
                m.start(),
            )
        name = declared[1]
        edits.append(
            (declared.end(), declared.end(), f" cuda_host::fresh_shared(&{name}, sizeof({name}));")
        )
    for start, end, new in sorted(edits, reverse=True):
        text = text[:start] + new + text[end:]
    return text


def main(source: str, output: str, *option: str) -> int:
    """Writes (or lists) the rewritten files under ``output``; 1 if one cannot be parsed."""
    for path in sorted(p for p in Path(source).rglob("*") if p.suffix in (".cu", ".cuh", ".hpp")):
        text = path.read_text(encoding="utf-8")
        target = Path(output, path.relative_to(source))
        if path.suffix != ".cu" and "<<<" not in text and "__shared__" not in text:
            target.unlink(missing_ok=True)  # it would hide the header, which had a launch once
            continue
        if option:
            print(target)
            continue
        try:
            new = f'#line 1 "{path}"\n' + rewrite(text)
        except ValueError as error:  # a message and an offset
            line = text.count("\n", 0, error.args[1]) + 1
            print(f"{path}:{line}: error: {error.args[0]}", file=sys.stderr)
            return 1
        if not target.exists() or target.read_text(encoding="utf-8") != new:
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_text(new, encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
