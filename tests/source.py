"""The library's source as a graph: which module imports which, imports inside functions too, those for type checking
not."""

import ast
from functools import cache
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent


@cache
def modules(package: str) -> dict[str, Path]:
    """Name -> file of every module of a package."""
    found = {}
    for path in sorted((ROOT / package).rglob("*.py")):
        name = ".".join(path.relative_to(ROOT).with_suffix("").parts)
        found[name.removesuffix(".__init__")] = path
    return found


def _statements(node: ast.AST):
    """All statements below `node`, without what stands under `if TYPE_CHECKING`."""
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.If) and getattr(child.test, "id", "") == "TYPE_CHECKING":
            continue
        yield child
        yield from _statements(child)


def _named(node: ast.AST) -> list[str]:
    if isinstance(node, ast.Import):
        return [alias.name for alias in node.names]
    if isinstance(node, ast.ImportFrom) and node.module:
        return [name for alias in node.names for name in (f"{node.module}.{alias.name}", node.module)]
    return []


@cache
def imports(package: str) -> dict[str, set[str]]:
    """Module -> the modules of the package that it imports."""
    known, graph = modules(package), {}
    for name, path in known.items():
        found = set()
        for node in _statements(ast.parse(path.read_text())):
            names = _named(node)
            exact = [one for one in names if one in known]
            if isinstance(node, ast.ImportFrom):  # `from a import b` is of a.b where that is a module, else of a
                inner = {one for one in exact if one != node.module}
                whole = len(inner) == len(node.names)
                exact = [*inner, *([] if whole else [one for one in exact if one == node.module])]
            found |= set(exact)
        graph[name] = found - {name}
    return graph


def floors(package: str) -> dict[str, int]:
    """Module -> length of its longest chain of imports within the package; raises RecursionError for a circle."""
    graph = imports(package)

    @cache
    def floor(name: str) -> int:
        return 1 + max((floor(other) for other in graph[name]), default=0)

    return {name: floor(name) for name in graph}


def functions(package: str) -> dict[str, int]:
    """'file:function' -> its number of lines."""
    return {
        f"{path.relative_to(ROOT)}:{node.name}": node.end_lineno - node.lineno + 1
        for path in modules(package).values()
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
    }
