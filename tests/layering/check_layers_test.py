#!/usr/bin/env python3
"""Plants one violation of each rule in a small tree and checks that it is reported where it is, and that a clean tree is not."""
import pathlib
import tempfile
import unittest

import check_layers

CLEAN = {
    "libs/base/status.h": "#pragma once\n",
    "libs/table/table.h": '#include "base/status.h"\n',
    "libs/outlier/detector.h": '#include "table/table.h"\n',
    "libs/neural/model.cc": '#include "outlier/detector.h"\n#include <dlfcn.h>\n',
    "libs/neural/module/train.cc": "#include <ATen/ATen.h>\n",
    "libs/runtime/server.h": "#include <grpcpp/server.h>\n",
    "libs/runtime/log.h": '#include "base/status.h"\n',
    "libs/storage/pool.cc": "#include <libpq-fe.h>\n",
    "libs/messaging/connection.cc": "#include <nats.h>\n",
    "libs/platform/platform.h": '#include "runtime/server.h"\n#include "storage/pool.h"\n',
    "libs/wire/table_chunk.h": '#include "table/table.h"\n#include "vedette/common/v1/common.pb.h"\n',
    "services/triage/core/inbox.h": '#include "base/status.h"\n#include "runtime/log.h"\n',
    "services/triage/adapters/grpc.cc": '#include "vedette/triage/v1/triage.grpc.pb.h"\n#include "services/triage/core/inbox.h"\n',
    "services/triage/wiring.cc": '#include "platform/platform.h"\n#include "services/triage/core/inbox.h"\n',
    "services/triage/main.cc": "int main() {}\n" * 40,
    "services/ingest/core/dataset.h": '#include "table/table.h"\n',
    "tools/cli/main.cc": '#include "outlier/detector.h"\n#include "vedette/triage/v1/triage.pb.h"\n',
}

TARGETS = {
    "vedette_base": ("libs/base", "absl::status"),
    "vedette_table": ("libs/table", "vedette_base;ZLIB::ZLIB;$<BUILD_INTERFACE:vedette_warnings>"),
    "vedette_outlier": ("libs/outlier", "vedette_base;vedette_table"),
    "vedette_neural": ("libs/neural", "vedette_outlier;dl"),
    "vedette_neural_module": ("libs/neural/module", "vedette_base;torch;torch_library;/usr/lib/libc10.so"),
    "vedette_storage": ("libs/storage", "vedette_base;PostgreSQL::PostgreSQL"),
    "vedette_messaging": ("libs/messaging", "PkgConfig::nats"),
    "vedette_protos": ("protos", "gRPC::grpc++;protobuf::libprotobuf"),
    "vedette_runtime": ("libs/runtime", "vedette_base;vedette_protos;gRPC::grpc++"),
    "vedette_triage_service": ("services/triage", "vedette_runtime;vedette_storage;vedette_protos"),
    "vedette_ingest_service": ("services/ingest", "vedette_runtime;vedette_table"),
    "vedette_cli": ("tools/cli", "vedette_outlier;$<LINK_ONLY:vedette_neural>"),
    "vedette_warnings": (".", ""),
    "triage_test": ("tests/unit/triage", "vedette_triage_service;vedette_test_main;PostgreSQL::PostgreSQL"),
}


def found(sources=None, targets=None):
    """Violations of the clean tree with these files and targets put in."""
    with tempfile.TemporaryDirectory() as folder:
        root = pathlib.Path(folder).resolve()
        for path, text in {**CLEAN, **(sources or {})}.items():
            (root / path).parent.mkdir(parents=True, exist_ok=True)
            (root / path).write_text(text)
        lines = [f"{n}|STATIC_LIBRARY|{root / f}|{items}" for n, (f, items) in {**TARGETS, **(targets or {})}.items()]
        (root / "targets.txt").write_text("\n".join(lines) + "\n")
        return check_layers.violations(root, root / "targets.txt")[1]


class PlantedViolations(unittest.TestCase):
    def test_clean_tree(self):
        self.assertEqual(found(), [])

    def planted(self, path, text, where, *parts):
        """One violation in one file, reported at `where` in words that hold `parts`."""
        got = found(sources={path: text})
        self.assertEqual(len(got), 1, got)
        self.assertTrue(got[0].startswith(f"{path}:{where}: "), got[0])
        for part in parts:
            self.assertIn(part, got[0])

    def linked(self, name, folder, items, *parts):
        got = found(targets={name: (folder, items)})
        self.assertEqual(len(got), 1, got)
        for part in (name, "[links]", *parts):
            self.assertIn(part, got[0])

    def test_lower_library_includes_higher(self):
        self.planted("libs/table/bad.h", '\n#include "outlier/detector.h"\n', 2, "[layers]", "it may use: base")

    def test_by_name_though_the_file_is_missing(self):
        self.planted("libs/base/bad.h", '#include "table/not_there.h"\n', 1, "[layers]")

    def test_siblings(self):
        self.planted("libs/explain/bad.cc", '#include "neural/model.h"\n', 1, "[layers]")

    def test_library_without_a_line(self):
        self.planted("libs/novel/a.h", "#pragma once\n", 1, "[library]")

    def test_library_includes_service(self):
        self.planted("libs/runtime/bad.cc", '#include "services/triage/core/inbox.h"\n', 1, "[layers]", "above it")

    def test_service_includes_service(self):
        self.planted("services/triage/adapters/bad.cc", '#include "services/ingest/core/dataset.h"\n', 1, "[services]")

    def test_tool_includes_service(self):
        self.planted("tools/cli/bad.cc", '#include "services/ingest/core/dataset.h"\n', 1, "[services]")

    def test_torch_outside_the_module(self):
        self.planted("libs/neural/bad.cc", "#include <torch/torch.h>\n", 1, "[third party]", "torch")

    def test_libpq_outside_storage(self):
        self.planted("services/triage/adapters/bad.cc", "#include <libpq-fe.h>\n", 1, "[third party]", "libpq")

    def test_xgboost_outside_boosting(self):
        self.planted("libs/neural/bad.cc", "#include <xgboost/c_api.h>\n", 1, "[third party]", "xgboost")

    def test_nats_outside_messaging(self):
        self.planted("libs/runtime/bad.cc", "  #  include <nats.h>\n", 1, "[third party]", "cnats")

    def test_protos_in_storage(self):
        self.planted("libs/storage/bad.h", '#include "vedette/common/v1/common.pb.h"\n', 1, "[third party]", "gRPC")

    def test_core_reaches_grpc_through_a_library(self):
        self.planted("services/triage/core/bad.h", '#include "runtime/server.h"\n', 1, "[core]", "runtime/server.h -> grpcpp/server.h")

    def test_edge_library_outside_the_edge(self):
        self.planted("services/triage/rules.cc", '#include "wire/table_chunk.h"\n', 1, "[edge]")

    def test_long_main(self):
        self.planted("services/ingest/main.cc", "//\n" * 41, 41, "[size]", "wiring")

    def test_long_file(self):
        self.planted("libs/base/long.cc", "//\n" * 601, 601, "[size]")

    def test_links_upwards(self):
        self.linked("vedette_table", "libs/table", "vedette_base;vedette_outlier", "libs/outlier")

    def test_links_through_a_generator_expression(self):
        self.linked("vedette_storage", "libs/storage", "$<LINK_ONLY:$<BUILD_INTERFACE:vedette_table>>", "libs/table")

    def test_links_torch(self):
        self.linked("vedette_cli", "tools/cli", "torch_cpu", "torch")

    def test_links_the_module(self):
        self.linked("vedette_cli", "tools/cli", "vedette_neural_module", "run time")

    def test_service_links_service(self):
        self.linked("vedette_ingest_service", "services/ingest", "vedette_triage_service", "never code")

    def test_library_links_grpc(self):
        self.linked("vedette_messaging", "libs/messaging", "gRPC::grpc++", "gRPC")

    def test_library_links_tool(self):
        self.linked("vedette_runtime", "libs/runtime", "vedette_cli", "above it")

    def test_list_without_libraries(self):
        empty = {name: (".", "") for name in TARGETS}
        self.assertIn("names no library", " ".join(found(targets=empty)))


if __name__ == "__main__":
    unittest.main()
