"""Who imports whom: finds imports against the layers of ARCHITECTURE.md, files that import each other in a circle, and work that is
started beside src/task.rs. Reads src/ and console/src/. `make lint` runs it; it needs Python alone.
"""

import re
import sys
import tempfile
from pathlib import Path

ROOT = Path(__file__).parent.parent

USE = re.compile(r"^[ \t]*(pub(?:\([^)]*\))?\s+)?use\s+([^;]+);", re.M)
INLINE = re.compile(r"\b(?:crate|super|self)(?:::\w+)+")
TESTS = re.compile(r"#\[cfg\(test\)\]\s*(?:#\[[^\]]*\]\s*)*(?:pub\s+)?mod\s+(\w+)\s*([;{])")
# A scope ends with whoever opened it, and its threads end with the scope.
SPAWN = re.compile(r"(?<!scope\.)\b(?:spawn\w*|block_in_place)\s*\(")
NOT_CODE = re.compile(r"""//[^\n]*|/\*.*?\*/|\bb?r(?P<h>\#*)".*?"(?P=h)|b?"(?:\\.|[^"\\])*"|b?'(?:\\[^\n]+?|[^'\\\n])'""", re.S)
SCRIPT_IMPORT = re.compile(r"""(?:\bfrom\s+|\bimport\s*\(\s*|^import\s+)["'](\.[^"']+)["']""", re.M)


def code(text):
    """A file without comments, literals and tests, and the names of tests that have a file of their own."""
    text = NOT_CODE.sub(lambda found: " " if found[0].startswith("/") else '""', text)
    apart = set()
    while found := TESTS.search(text):
        end = found.end()
        if found[2] == ";":
            apart.add(found[1])
        else:
            depth = 1
            while depth:
                depth += {"{": 1, "}": -1}.get(text[end], 0)
                end += 1
        text = text[: found.start()] + text[end:]
    return text, apart


def expand(tree):
    """The paths of `a::{b, c::{d as e}}`, each with the name that it is known by."""
    tree = " ".join(tree.split())
    if "{" not in tree:
        path, _, alias = tree.partition(" as ")
        parts = path.strip().split("::")
        if parts[-1] == "self":
            parts.pop()
        return [(parts, alias or parts[-1])]
    head, _, rest = tree.partition("{")
    items, depth, item = [], 0, ""
    for sign in rest[: rest.rindex("}")] + ",":
        depth += {"{": 1, "}": -1}.get(sign, 0)
        if sign == "," and not depth:
            items.append(item.strip())
            item = ""
        else:
            item += sign
    return [found for item in items if item for found in expand(head.strip() + item)]


class Crate:
    """The files of a crate, by their modules, and what each imports."""

    def __init__(self, folder):
        self.files, self.uses, self.rest = {}, {}, {}
        apart = set()
        for file in sorted(folder.rglob("*.rs")):
            name = file.relative_to(folder)
            module = name.with_suffix("").parts
            if module[-1] in ("mod", "lib"):
                module = module[:-1]
            text, tests = code(file.read_text())
            apart |= {(*module, test) for test in tests}
            self.files[module] = name.as_posix()
            self.uses[module] = [(bool(found[1]), *path) for found in USE.finditer(text) for path in expand(found[2])]
            self.rest[module] = re.sub(r"\bmod \w+;", "", USE.sub("", text))
        for module in apart:
            self.files.pop(module, None)

    def absolute(self, module, path):
        """A path from the root of the crate; None where it leads out of the crate."""
        if path[0] == "crate" or (module == ("main",) and path[0] == "rekollect"):
            return tuple(path[1:])
        if path[0] in ("self", "super"):
            path = list(path)
            while path and path[0] in ("self", "super"):
                module = module[:-1] if path.pop(0) == "super" else module
            return (*module, *path)
        return (*module, *path) if (*module, path[0]) in self.files else None

    def target(self, path, seen=()):
        """The module whose file has what a path names: re-exports are followed."""
        module = ()
        while len(path) > len(module) and path[: len(module) + 1] in self.files:
            module = path[: len(module) + 1]
        if len(path) == len(module) or path in seen:
            return module
        for _, parts, known_as in self.uses.get(module, []):
            if known_as == path[len(module)] and (source := self.absolute(module, parts)) is not None:
                return self.target((*source, *path[len(module) + 1 :]), (*seen, path))
        return module

    def imports(self):
        """Pairs of modules of which the one needs the other. What a file only hands on, it does not need."""
        for module in self.files.keys() - {()}:
            rest = self.rest[module]
            paths = [self.absolute(module, found.split("::")) for found in INLINE.findall(rest)]
            children = "|".join(other[-1] for other in self.files if other and other[:-1] == module)
            if children:
                paths += [(*module, *found.split("::")) for found in re.findall(rf"(?<![\w:])(?:{children})(?:::\w+)+", rest)]
            if module == ("main",):
                paths += [tuple(found.split("::")[1:]) for found in re.findall(r"(?<![\w:])rekollect(?:::\w+)+", rest)]
            for is_public, parts, known_as in self.uses[module]:
                path = self.absolute(module, parts)
                is_handed_on = is_public and path and path[: len(module)] == module
                if not is_handed_on or re.search(rf"\b{known_as}\b", rest):
                    paths.append(path)
            for target in {self.target(path) for path in paths if path is not None} - {module, ()}:
                yield module, target


def layers(text):
    """The lines under the heading Layers, each a set of rooms: the highest first."""
    section = text.split("\n## Layers\n")[1].split("\n## ")[0]
    return [set(re.findall(r"\w+", line)) for line in section.splitlines() if line.startswith("    ")]


def against_the_layers(crate, layers):
    level = {room: number for number, rooms in enumerate(layers) for room in rooms}
    rooms = {module[0] for module in crate.files if module}
    yield from (f"{room} stands in no layer of ARCHITECTURE.md" for room in sorted(rooms - level.keys()))
    yield from (f"{room}, a layer of ARCHITECTURE.md, is no room" for room in sorted(level.keys() - rooms))
    for one, other in sorted(crate.imports()):
        if one[0] != other[0] and level.get(one[0], -1) >= level.get(other[0], len(layers)):
            yield f"{crate.files[one]} imports {crate.files[other]}, which is not below it"


def circles(edges):
    """Nodes that reach each other: the strongly connected components of more than one node, after Tarjan."""
    graph, index, low, stack, found = {}, {}, {}, [], []
    for one, other in edges:
        graph.setdefault(one, set()).add(other)
        graph.setdefault(other, set())

    def visit(node):
        index[node] = low[node] = len(index)
        stack.append(node)
        for other in sorted(graph[node]):
            if other not in index:
                visit(other)
            if other in stack:
                low[node] = min(low[node], low[other])
        if low[node] == index[node]:
            start = stack.index(node)
            circle = sorted(stack[start:])
            del stack[start:]
            if len(circle) > 1:
                found.append(circle)

    for node in sorted(graph):
        if node not in index:
            visit(node)
    return sorted(found)


def in_circles(crate):
    for circle in circles(crate.imports()):
        yield "a circle of imports: " + ", ".join(crate.files[module] for module in circle)


def started_elsewhere(crate):
    for module, rest in sorted(crate.rest.items()):
        if module in crate.files and module != ("task",) and (found := SPAWN.search(rest)):
            yield f"{crate.files[module]} has {found[0]}): what starts work is in task.rs"


def scripts(folder):
    """Pairs of TypeScript files of which the one imports the other."""
    for file in sorted(folder.rglob("*.ts*")):
        text = re.sub(r"//[^\n]*|/\*.*?\*/", "", file.read_text(), flags=re.S)
        for path in SCRIPT_IMPORT.findall(text):
            found = [found for end in (".ts", ".tsx", "/index.ts") if (found := file.parent.joinpath(path + end).resolve()).exists()]
            if found:
                yield tuple(each.relative_to(folder.resolve()).as_posix() for each in (file.resolve(), found[0]))


def problems(root):
    crate = Crate(root / "src")
    yield from against_the_layers(crate, layers((root / "ARCHITECTURE.md").read_text()))
    yield from in_circles(crate)
    yield from started_elsewhere(crate)
    yield from ("console: a circle of imports: " + ", ".join(circle) for circle in circles(scripts(root / "console" / "src")))


def prove():
    """Lets the checks find what they are for, in a small tree of each kind."""
    sound = {
        "ARCHITECTURE.md": "# A\n\n## Layers\n\n    upper\n    lower, other\n\n## B\n",
        "src/lib.rs": "pub mod lower;\npub mod other;\npub mod upper;\n",
        "src/upper.rs": "use crate::lower::Thing; // use crate::upper\nfn f() { std::thread::scope(|scope| scope.spawn(g)) }\n",
        "src/lower/mod.rs": "mod a;\nmod b;\npub use a::Thing;\n",
        "src/lower/a.rs": "pub struct Thing;\n#[cfg(test)]\nmod tests {\n    use crate::upper::f;\n}\n",
        "src/lower/b.rs": 'use super::Thing;\nconst NO_CODE: &str = "thread::spawn(f)";\n',
        "src/other.rs": "",
        "console/src/a.ts": 'import { b } from "./b";\n',
        "console/src/b.ts": '// from "./a"\n',
    }
    wrong = {
        "imports upper.rs": {"src/lower/b.rs": "use crate::{other as o, upper::{f as g}};\n"},
        "imports other.rs": {"src/lower/b.rs": "fn f() -> crate::other::Thing {}\n"},
        "circle of imports: lower": {"src/lower/a.rs": "use super::b::Other;\npub struct Thing;\n"},
        "lower/mod.rs, lower/a.rs": {
            "src/lower/mod.rs": "mod a;\npub use a::Thing;\nstruct Own(Thing);\n",
            "src/lower/a.rs": "use super::Own;\n",
        },
        "has spawn(": {"src/other.rs": "fn f() { tokio::spawn(g()) }\n"},
        "has spawn_blocking(": {"src/other.rs": "use tokio::task::spawn_blocking;\nfn f() { spawn_blocking(g) }\n"},
        "stands in no layer": {"src/new.rs": ""},
        "is no room": {"ARCHITECTURE.md": sound["ARCHITECTURE.md"].replace("other", "other, gone")},
        "console: a circle": {"console/src/b.ts": 'const a = () => import("./a");\n'},
    }
    with tempfile.TemporaryDirectory() as folder:
        for number, (expected, change) in enumerate([("", {}), *wrong.items()]):
            root = Path(folder, str(number))
            for name, text in (sound | change).items():
                root.joinpath(name).parent.mkdir(parents=True, exist_ok=True)
                root.joinpath(name).write_text(text)
            found = list(problems(root))
            assert (expected in "".join(found)) if expected else not found, f"{expected!r}, and found were {found}"


if __name__ == "__main__":
    prove()
    found = list(problems(ROOT))
    sys.exit("\n".join(found) or None)
