"""How many parameters functions have, and how many of them are only handed on: ``python tests/house/measure.py [-v]``.

A parameter is any but ``self`` and ``cls``, ``*args`` and ``**kwargs`` included. It is only handed on if every use of it in
the body is a plain argument of a call (``f(x)``, ``f(name=x)``, ``f(**x)``) or a value of a dict (``{"name": x}``).
"""

import ast
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

SRC = Path(__file__).parents[2] / "src"
MANY = 8
"""Parameters that a reader can keep apart."""


@dataclass(frozen=True)
class Function:
    """What is counted of a function."""

    place: str
    parameters: int
    handed_on: int


def functions(folder: Path = SRC) -> list[Function]:
    """All functions below a folder, nested ones included."""
    return [found for path in sorted(folder.rglob("*.py")) for found in in_text(path.read_text(), path.name)]


def in_text(text: str, name: str = "") -> Iterator[Function]:
    """The functions of a file."""
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            given = _parameters(node.args)
            yield Function(f"{name}:{node.lineno} {node.name}", len(given), sum(_handed_on(node, one) for one in given))


def share(found: list[Function]) -> float:
    """Parameters that are only handed on, of all."""
    return sum(one.handed_on for one in found) / sum(one.parameters for one in found)


def crowded(found: list[Function]) -> list[Function]:
    """Functions of more than `MANY` parameters, the worst first."""
    return sorted((one for one in found if one.parameters > MANY), key=lambda one: -one.parameters)


def _parameters(arguments: ast.arguments) -> list[str]:
    found = [*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs]
    found += [one for one in (arguments.vararg, arguments.kwarg) if one is not None]
    return [one.arg for one in found if one.arg not in ("self", "cls")]


def _handed_on(function: ast.FunctionDef | ast.AsyncFunctionDef, name: str) -> bool:
    used = passed = 0
    for statement in function.body:
        for node in ast.walk(statement):
            used += isinstance(node, ast.Name) and node.id == name
            passed += sum(isinstance(one, ast.Name) and one.id == name for one in _passed(node))
    return 0 < used == passed


def _passed(node: ast.AST) -> list[ast.expr]:
    """What a node hands on as it is."""
    if isinstance(node, ast.Call):
        return [*node.args, *(keyword.value for keyword in node.keywords)]
    return list(node.values) if isinstance(node, ast.Dict) else []


if __name__ == "__main__":
    all_of_them = functions()
    worst = crowded(all_of_them)
    if "-v" in sys.argv:
        sys.stdout.writelines(f"{one.parameters:3} {one.handed_on:3}  {one.place}\n" for one in worst)
    total = sum(one.parameters for one in all_of_them)
    said = f"{total} parameters, {share(all_of_them):.1%} only handed on; {len(worst)} functions of more than {MANY}"
    sys.stdout.write(f"{said}\n")
