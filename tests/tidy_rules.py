"""The bars of style that a machine can check: pure functions from a tree of files to complaints."""

from __future__ import annotations

import ast
import io
import posixpath
import re
import statistics
import tempfile
import tokenize
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parents[1]

FUNCTION_LINES_MAX: Final = 60
FUNCTION_LINES_LONG: Final = 40
LONG_FUNCTIONS_PERCENT_MAX: Final = 3
FUNCTION_LINES_MEDIAN_MAX: Final = 10
MODULE_LINES_MAX: Final = 400
FOLDER_DEPTH_MAX: Final = 2
EXCUSES_PER_1000_LINES_MAX: Final = 2
DOCUMENTED_PERCENT_MIN: Final = 90

#: Paths and their text: the whole repository, or a sample.
Tree = Mapping[str, str]
Function = ast.FunctionDef | ast.AsyncFunctionDef


# ------------------------------------------------------------------------------------------------------ reading source


def functions(source: str) -> list[Function]:
    """List the functions and methods of a module."""
    return [node for node in ast.walk(ast.parse(source)) if isinstance(node, Function)]


def lines_of(function: Function) -> int:
    """Count a function's lines from its `def` on."""
    return (function.end_lineno or function.lineno) - function.lineno + 1


def comments(source: str) -> Iterator[tuple[int, str]]:
    """Yield the comments of a module, each with its line."""
    for token in tokenize.generate_tokens(io.StringIO(source).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], token.string


def public(body: list[ast.stmt]) -> Iterator[Function | ast.ClassDef]:
    """Yield the public definitions of a module or class, and those of its public classes."""
    for node in body:
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_"):
            yield node
            if isinstance(node, ast.ClassDef):
                yield from public(node.body)


# ------------------------------------------------------------------------------------------------------------ the rules


def overlong_functions(tree: Tree) -> list[str]:
    """No function is longer than a reader can hold in view."""
    return [
        f"{path}:{function.lineno}: {function.name} has {lines_of(function)} lines of at most {FUNCTION_LINES_MAX}"
        for path, source in tree.items()
        for function in functions(source)
        if lines_of(function) > FUNCTION_LINES_MAX
    ]


def overlong_modules(tree: Tree) -> list[str]:
    """No module is longer than one concept needs."""
    return [
        f"{path}: {len(source.splitlines())} lines of at most {MODULE_LINES_MAX}"
        for path, source in tree.items()
        if len(source.splitlines()) > MODULE_LINES_MAX
    ]


def many_long_functions(tree: Tree) -> list[str]:
    """Few functions are long."""
    lengths = [lines_of(function) for source in tree.values() for function in functions(source)]
    long = sum(length > FUNCTION_LINES_LONG for length in lengths)
    if long * 100 <= LONG_FUNCTIONS_PERCENT_MAX * len(lengths):
        return []
    return [f"{long} of {len(lengths)} functions have over {FUNCTION_LINES_LONG} lines"]


def high_median(tree: Tree) -> list[str]:
    """Most functions are short."""
    lengths = [lines_of(function) for source in tree.values() for function in functions(source)]
    if not lengths or statistics.median(lengths) <= FUNCTION_LINES_MEDIAN_MAX:
        return []
    return [f"the median function has {statistics.median(lengths)} lines of at most {FUNCTION_LINES_MEDIAN_MAX}"]


def deep_folders(tree: Tree) -> list[str]:
    """A package is at most two folders deep."""
    return [f"{path}: too deep" for path in tree if path.count("/") - 1 > FOLDER_DEPTH_MAX]


def vague_names(tree: Tree) -> list[str]:
    """No module is named for nothing in particular."""
    vague = {"common", "helper", "helpers", "manager", "misc", "util", "utils"}
    return [f"{path}: name it for what it holds" for path in tree if vague & set(re.split(r"[/._]", path))]


EXCUSE: Final = re.compile(r"#\s*(type:\s*ignore|noqa)\b", re.IGNORECASE)
FULL_EXCUSE: Final = re.compile(r"#\s*(type:\s*ignore\[[\w, -]+\]\s*#\s*\w|noqa:\s*[A-Z]+\d+(,\s*[A-Z]+\d+)*[\s#-]+\w)")


def bare_excuses(tree: Tree) -> list[str]:
    """Whoever silences a checker names the rule and the reason."""
    return [
        f"{path}:{line}: say which rule, and why: {comment}"
        for path, source in tree.items()
        for line, comment in comments(source)
        if EXCUSE.search(comment) and not FULL_EXCUSE.search(comment)
    ]


def many_excuses(tree: Tree) -> list[str]:
    """Checkers are rarely silenced."""
    lines_per_1000 = max(1.0, sum(len(source.splitlines()) for source in tree.values()) / 1000)
    found = [match[1] for source in tree.values() for _, text in comments(source) if (match := EXCUSE.search(text))]
    kinds = {"noqa": 0, "type: ignore": 0}
    for excuse in found:
        kinds["noqa" if excuse.lower() == "noqa" else "type: ignore"] += 1
    return [
        f"{count} times {kind}: at most {EXCUSES_PER_1000_LINES_MAX} in 1,000 lines"
        for kind, count in kinds.items()
        if count > EXCUSES_PER_1000_LINES_MAX * lines_per_1000
    ]


# Spelt in brackets, so that the rule does not find itself.
LEFTOVER: Final = re.compile(r"\b(T[O]DO|F[I]XME|X[X]X|H[A]CK|br[e]akpoint\(|p[d]b)")


def leftovers(tree: Tree) -> list[str]:
    """What is to be done is an issue, not a note in the code."""
    return [
        f"{path}:{number}: {match[1]}"
        for path, source in tree.items()
        for number, line in enumerate(source.splitlines(), start=1)
        if (match := LEFTOVER.search(line))
    ]


def prints(tree: Tree) -> list[str]:
    """Only the command line prints."""
    return [
        f"{path}:{node.lineno}: print"
        for path, source in tree.items()
        for node in ast.walk(ast.parse(source))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == "print"
    ]


def silent_modules(tree: Tree) -> list[str]:
    """Every module says what it is for."""
    return [f"{path}: no docstring" for path, source in tree.items() if not ast.get_docstring(ast.parse(source))]


def undocumented(tree: Tree) -> list[str]:
    """What others build on is described."""
    nodes = [(path, node) for path, source in tree.items() for node in public(ast.parse(source).body)]
    missing = [f"{path}:{node.lineno}: {node.name}" for path, node in nodes if not ast.get_docstring(node)]
    return missing if len(missing) * 100 > (100 - DOCUMENTED_PERCENT_MIN) * len(nodes) else []


def silent_tests(tree: Tree) -> list[str]:
    """Every test says in one line what it proves."""
    return [
        f"{path}:{function.lineno}: {function.name} has no docstring of one line"
        for path, source in tree.items()
        for function in functions(source)
        if function.name.startswith("test_") and len((ast.get_docstring(function) or "").splitlines()) != 1
    ]


# Package indexes and the settings that name them; folders of one person's machine.  In brackets as above.
HOST: Final = re.compile(
    r"py[p]i\.(org|io)|py[t]honhosted\.|npm[j]s\.|crat[e]s\.io|rubyg[e]ms\.org|(ind[e]x|reg[i]stry)[-_]url|find[-_]l[i]nks",
    re.IGNORECASE,
)
PERSONAL: Final = re.compile(r"(?<![\w.])(/h[o]me/\w|/U[s]ers/\w|/ro{2}t/|[A-Z]:\\+U[s]ers)")
SHARED_FOLDERS: Final = frozenset({"/", "/home", "/mnt", "/opt", "/srv", "/usr/src", "/var", tempfile.gettempdir()})


def places(tree: Tree, *, root: Path = ROOT) -> list[str]:
    """The repository names no package index and no path of the machine it was written on."""
    own = [f"{folder}/" for folder in (root, root.parent) if str(folder) not in SHARED_FOLDERS]
    return [
        f"{path}:{number}: {line.strip()[:80]}"
        for path, text in tree.items()
        for number, line in enumerate(text.splitlines(), start=1)
        if HOST.search(line) or PERSONAL.search(line) or any(folder in line for folder in own)
    ]


LINK: Final = re.compile(r"\]\(([^)\s#]+)[^)]*\)")


def broken_links(tree: Tree) -> list[str]:
    """Every link to a path of the repository leads somewhere."""
    folders = {posixpath.dirname(path) for path in tree}
    there = set(tree) | {folder[: end.start()] for folder in folders for end in re.finditer(r"/|$", folder)}
    return [
        f"{path}: {target}"
        for path, text in tree.items()
        if path.endswith(".md")
        for target in LINK.findall(text)
        if ":" not in target and posixpath.normpath(posixpath.join(posixpath.dirname(path), target)) not in there
    ]
