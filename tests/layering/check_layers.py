#!/usr/bin/env python3
"""Checks who may include and link whom (the layers of the README), and that files stay small.

    check_layers.py [--root DIR] [--targets FILE]

Looks at every #include under libs/, services/ and tools/, and, with --targets (written by CMake, see CMakeLists.txt here), at
every link edge between targets. Prints one line a violation, "file:line: [rule] what and why", and ends with 1 if there are any.
The rules are the tables below: a new library gets a line in LIBRARIES, a new third party a line in THIRD_PARTIES.
"""
import argparse
import fnmatch
import pathlib
import re
import sys

# library -> the libraries it may include and link. Everything that is reached, directly or not, must be listed.
_TABLES = {"base", "table"}
_DETECTORS = _TABLES | {"outlier", "timeseries"}
LIBRARIES = {
    "base": set(),
    "table": {"base"},
    "outlier": _TABLES,
    "timeseries": _TABLES,
    "neural": _DETECTORS,
    "boosting": _DETECTORS,
    "explain": _DETECTORS,
    "llm": {"base"},
    "runtime": {"base"},
    "storage": {"base"},
    "messaging": {"base"},
    "platform": {"base", "llm", "runtime", "storage", "messaging"},
    "wire": _TABLES,
}

# Libraries of the services' edge: what joins runtime, storage and messaging, and what turns messages into tables.
_EDGE = ["services/*/adapters/*", "services/*/wiring*", "services/*/main.cc", "tools/*", "tests/*"]
EDGE_LIBRARIES = {"platform": ["libs/platform/*"] + _EDGE, "wire": ["libs/wire/*"] + _EDGE}

# name -> (headers, link items, who may use it). `*` crosses folders.
_PROTO_USERS = ["protos/*", "libs/runtime/*", "libs/wire/*"] + _EDGE
THIRD_PARTIES = {
    "torch": (r"(torch|ATen|c10|caffe2)/", r"(torch|c10|caffe2)[^/]*|.*/lib(torch|c10)[^/]*", ["libs/neural/module/*"]),
    "xgboost": (r"xgboost/", r"xgboost.*|.*/libxgboost[^/]*", ["libs/boosting/*", "tests/unit/boosting/*"]),
    "libpq": (r"(libpq-fe\.h|libpq/|pg_config)", r"PostgreSQL::.*|pq|.*/libpq\.[^/]*", ["libs/storage/*", "tests/*"]),
    "cnats": (r"(nats\.h|nats/)", r"(PkgConfig::)?nats|.*/libnats[^/]*", ["libs/messaging/*", "tests/*"]),
    "protobuf and gRPC": (r"(.*\.pb\.h$|grpcpp/|grpc/|google/protobuf/)", r"gRPC::.*|protobuf::.*|vedette_protos", _PROTO_USERS),
}
# A service is one link target, so its adapters' libraries are the service's; its core is kept clean by the include rules.
LINK_USERS = {"protobuf and gRPC": ["protos", "libs/runtime", "libs/wire", "services/*", "tools/*", "tests*"]}

_MODULE = "libs/neural/module"

# Pure logic: nothing that it includes, directly or through other files, may reach these.
PURE = ["services/*/core/*", "services/*/ports/*"]
IMPURE = ["libpq", "cnats", "protobuf and gRPC"]

MAIN_LINES = 40
FILE_LINES, FILE_LINES_WARN = 600, 500
SOURCES = {".h", ".cc", ".c", ".py", ".sh"}
CODE = {".h", ".cc", ".c"}

_INCLUDE = re.compile(r'^\s*#\s*include\s*[<"]([^>"]+)[>"]')


def matches(path, patterns):
    return any(fnmatch.fnmatchcase(path, p) for p in patterns)


def library_of(path):
    """'libs/outlier/detector.h' -> 'outlier'; '' when it is no library's."""
    parts = path.split("/")
    return parts[1] if parts[0] == "libs" and len(parts) > 2 else ""


def service_of(path):
    parts = path.split("/")
    return parts[1] if parts[0] == "services" and len(parts) > 2 else ""


class Tree:
    """The sources and their includes, resolved to files of the repository where they are ours."""

    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self.lines = {}     # path -> number of lines, for SOURCES
        self.includes = {}  # path -> [(line, text, path of the included file or None)], for CODE
        files = []
        for top in ("libs", "services", "tools", "tests"):
            for f in sorted((self.root / top).rglob("*")):
                if f.suffix in SOURCES and f.is_file() and "__pycache__" not in f.parts:
                    files.append(f)
        for f in files:
            path = f.relative_to(self.root).as_posix()
            text = f.read_text(encoding="utf-8", errors="replace").splitlines()
            self.lines[path] = len(text)
            if f.suffix in CODE:
                found = [(n, m.group(1)) for n, m in ((n, _INCLUDE.match(line)) for n, line in enumerate(text, 1)) if m]
                self.includes[path] = [(n, name, self._resolve(f, name)) for n, name in found]

    def _resolve(self, source, name):
        for folder in (source.parent, self.root / "libs", self.root, self.root / "tools", self.root / "tests"):
            candidate = folder / name
            if candidate.is_file():
                try:
                    return candidate.resolve().relative_to(self.root).as_posix()
                except ValueError:
                    return None
        return None

    def chain_to(self, start, wanted):
        """The shortest way of includes from `start` to a header whose name `wanted` matches: [(path, line, name)], or []."""
        queue, seen = [(start, [])], {start}
        while queue:
            path, way = queue.pop(0)
            for line, name, target in self.includes.get(path, []):
                if wanted.match(name):
                    return way + [(path, line, name)]
                if target and target not in seen:
                    seen.add(target)
                    queue.append((target, way + [(path, line, name)]))
        return []


def check_libraries(tree):
    for path, includes in tree.includes.items():
        library = library_of(path)
        if not library:
            continue
        if library not in LIBRARIES:
            yield f"{path}:1: [library] libs/{library} has no line in LIBRARIES of tests/layering/check_layers.py"
            continue
        for line, name, target in includes:
            # By name too: a header that does not exist yet still has its place.
            other = library_of(target or "") or (name.split("/")[0] if name.split("/")[0] in LIBRARIES and "/" in name else "")
            if other and other != library and other not in LIBRARIES[library]:
                allowed = ", ".join(sorted(LIBRARIES[library])) or "nothing"
                yield f'{path}:{line}: [layers] libs/{library} includes "{name}" of libs/{other}; it may use: {allowed}'
            top = (target or name).split("/")[0]
            if top in ("services", "tools", "tests"):
                yield f'{path}:{line}: [layers] a library includes "{name}" of {top}/, which is above it'


def check_services(tree):
    for path, includes in tree.includes.items():
        if path.startswith("tests/"):
            continue
        for line, name, target in includes:
            owner = service_of(target or name)
            if owner and owner != service_of(path) and not library_of(path):
                who = f"services/{service_of(path)}" if service_of(path) else path.split("/")[0] + "/"
                yield f'{path}:{line}: [services] {who} includes "{name}": services share protos, never code'
            edge = library_of(target or "")
            if edge in EDGE_LIBRARIES and not matches(path, EDGE_LIBRARIES[edge]):
                yield f'{path}:{line}: [edge] "{name}" is for adapters, wiring and main.cc only'


def check_third_parties(tree):
    for path, includes in tree.includes.items():
        for line, name, _ in includes:
            for third, (headers, _, users) in THIRD_PARTIES.items():
                if re.match(headers, name) and not matches(path, users):
                    yield f"{path}:{line}: [third party] <{name}> is {third}, which only these may include: {', '.join(users)}"


def check_purity(tree):
    for path in tree.includes:
        if not matches(path, PURE):
            continue
        for third in IMPURE:
            way = tree.chain_to(path, re.compile(THIRD_PARTIES[third][0]))
            if way:
                steps = " -> ".join(name for _, _, name in way)
                yield f"{path}:{way[0][1]}: [core] core and ports know no {third}, yet: {steps}"


def check_sizes(tree):
    for path, lines in tree.lines.items():
        if matches(path, ["services/*/main.cc"]) and lines > MAIN_LINES:
            yield f"{path}:{lines}: [size] main.cc has {lines} lines, {MAIN_LINES} at most: move it to wiring"
        if lines > FILE_LINES:
            yield f"{path}:{lines}: [size] {lines} lines, {FILE_LINES} at most: split it by purpose"
        elif lines > FILE_LINES_WARN:
            print(f"warning: {path}: {lines} lines, aim for {FILE_LINES_WARN}", file=sys.stderr)


def read_targets(file, root):
    """CMake's list, one target a line: name|type|folder|item;item... -> {name: (folder, [items])}"""
    targets = {}
    for line in pathlib.Path(file).read_text(encoding="utf-8").splitlines():
        name, kind, folder, items = line.split("|", 3)
        try:
            folder = pathlib.Path(folder).resolve().relative_to(root).as_posix()
        except ValueError:
            continue  # not ours
        plain = []
        for item in items.split(";"):
            while (m := re.fullmatch(r"\$<(?:LINK_ONLY|BUILD_INTERFACE):(.*)>", item)):
                item = m.group(1)
            if item and not item.startswith("::@") and item not in plain:
                plain.append(item)
        targets[name] = (kind, folder, plain)
    return targets


def check_links(targets):
    if not any(folder.startswith("libs/") for _, folder, _ in targets.values()):
        yield "targets:1: [links] the list of targets names no library: it cannot have been written by CMake"
    for name, (_, folder, items) in targets.items():
        library, service = library_of(folder + "/"), service_of(folder + "/")
        if library and library not in LIBRARIES:
            yield f"{folder}/CMakeLists.txt:1: [library] libs/{library} has no line in LIBRARIES of tests/layering/check_layers.py"
            continue
        for item in items:
            where = f"{folder}/CMakeLists.txt:1"
            for third, (_, pattern, users) in THIRD_PARTIES.items():
                allowed = LINK_USERS.get(third, users)
                if re.fullmatch(pattern, item) and not matches(folder, allowed) and not matches(folder + "/", allowed):
                    yield f"{where}: [links] {name} links {item} ({third}); only these may: {', '.join(allowed)}"
            if item not in targets:
                continue
            kind, other_folder, _ = targets[item]
            other, owner = library_of(other_folder + "/"), service_of(other_folder + "/")
            if library and other and other != library and other not in LIBRARIES[library]:
                yield f"{where}: [links] {name} (libs/{library}) links {item} (libs/{other})"
            if library and other_folder.split("/")[0] in ("services", "tools", "tests"):
                yield f"{where}: [links] {name} links {item} of {other_folder}, which is above it"
            if owner and owner != service and not folder.startswith("tests"):
                yield f"{where}: [links] {name} links {item}: services share protos, never code"
            # The module's parts have each other, and tests that look at them alone.
            if other_folder == _MODULE and folder in (_MODULE, "tests/unit/neural"):
                continue
            if other_folder == _MODULE:
                yield f"{where}: [links] {name} links {item}, which is only ever loaded at run time"
            if folder == _MODULE and other and other != "base":
                yield f"{where}: [links] the module links {item}; beside Torch it may use base only"


CHECKS = [check_libraries, check_services, check_third_parties, check_purity, check_sizes]


def violations(root, targets_file=None):
    tree = Tree(root)
    found = [v for check in CHECKS for v in check(tree)]
    if targets_file:
        found += check_links(read_targets(targets_file, tree.root))
    return tree, found


def main():
    here = pathlib.Path(__file__).resolve()
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--root", default=here.parents[2], help="the repository")
    parser.add_argument("--targets", help="the list of targets that CMake wrote")
    args = parser.parse_args()
    tree, found = violations(args.root, args.targets)
    if not any(path.startswith("libs/base/") for path in tree.includes):
        print(f"layering: {args.root} does not hold the sources", file=sys.stderr)
        return 2
    for violation in found:
        print(violation)
    edges = sum(len(i) for i in tree.includes.values())
    print(f"layering: {len(tree.includes)} files, {edges} includes, {len(found)} violations")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
