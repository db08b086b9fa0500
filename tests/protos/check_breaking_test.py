#!/usr/bin/env python3
"""check_breaking_test.py CHECK_BREAKING: compiles small protos before and after a change and looks at what the check says."""
import importlib.machinery
import importlib.util
import pathlib
import subprocess
import sys
import tempfile
import unittest

check = None

BEFORE = """
syntax = "proto3";
package vedette.test.v1;
import "google/api/annotations.proto";
import "vedette/common/v1/options.proto";

// Things.
service Things {
  rpc Get(GetRequest) returns (Thing) {
    option (google.api.http) = {get: "/v1/{name=things/*}"};
    option (vedette.common.v1.permission) = "things.read";
  }
}
message GetRequest {
  string name = 1;
}
message Thing {
  enum State {
    STATE_UNSPECIFIED = 0;
    OPEN = 1;
  }
  string name = 1;
  repeated int32 counts = 2;
  State state = 3;
  oneof part {
    string left = 4;
    string right = 5;
  }
}
"""


def summarize(text):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder)
        (path / "test.proto").write_text(text)
        subprocess.run(["protoc", f"--descriptor_set_out={path}/out", "--include_imports", "--include_source_info", "-I", folder,
                        "-I", str(check.ROOT / "protos"), "-I", check.GOOGLEAPIS, "test.proto"], check=True)
        summary, commented = check.summary((path / "out").read_bytes())
        mine = {kind: {k: v for k, v in entries.items() if k.startswith("vedette.test.")} for kind, entries in summary.items()}
        return mine, commented


def breaks(old, new):
    return check.compare(summarize(BEFORE)[0], summarize(BEFORE.replace(old, new))[0])


class Breaks(unittest.TestCase):
    def assert_breaks(self, old, new, expected):
        found = breaks(old, new)
        self.assertEqual(len(found), 1, found)
        self.assertIn(expected, found[0])

    def test_additions_and_comments_are_no_breaks(self):
        self.assertEqual(breaks("string name = 1;\n  repeated", "string name = 1; string more = 9;\n  // text\n  repeated"), [])
        self.assertEqual(breaks("OPEN = 1;", "OPEN = 1; SHUT = 2;"), [])

    def test_fields(self):
        self.assert_breaks("counts = 2", "counts = 7", "field vedette.test.v1.Thing.counts changed: repeated int32 2 -> repeated int32 7")
        self.assert_breaks("repeated int32 counts", "repeated int64 counts", "repeated int32 2 -> repeated int64 2")
        self.assert_breaks("repeated int32 counts", "int32 counts", "optional int32 2")
        self.assert_breaks("repeated int32 counts = 2;", "", "counts is gone; reserve its number 2")
        self.assert_breaks("repeated int32 counts = 2;", "reserved 2;", "counts is gone")
        self.assertEqual(breaks("repeated int32 counts = 2;", 'reserved 2; reserved "counts";'), [])
        self.assert_breaks("string right = 5;\n  }", "}\n  string right = 5;", "field vedette.test.v1.Thing.right changed")

    def test_enums(self):
        self.assert_breaks("OPEN = 1", "OPEN = 2", "enum value vedette.test.v1.Thing.State.OPEN changed: 1 -> 2")
        self.assert_breaks("OPEN = 1", "AJAR = 1", "enum value vedette.test.v1.Thing.State.OPEN is gone")
        self.assertEqual(breaks("OPEN = 1;", 'reserved 1; reserved "OPEN";'), [])

    def test_rpcs(self):
        self.assert_breaks("rpc Get(", "rpc Fetch(", "rpc vedette.test.v1.Things.Get is gone")
        self.assert_breaks("returns (Thing)", "returns (stream Thing)", "response changed")
        self.assert_breaks("things/*", "stuff/*", 'http rule "get /v1/{name=things/*}" is gone')
        self.assert_breaks("things.read", "things.write", "permission changed: things.read -> things.write")
        self.assertEqual(breaks('things/*}"}', 'things/*}" additional_bindings {get: "/v1/things:one"}}'), [])
        self.assertEqual(len(breaks("Things {", "Stuff {")), 1)

    def test_messages(self):
        found = check.compare(summarize(BEFORE)[0], {"messages": {}, "enums": {}, "services": {}})
        self.assertEqual(len(found), 4)


class Lint(unittest.TestCase):
    def lint(self, old="", new=""):
        return check.lint(*summarize(BEFORE.replace(old, new) if old else BEFORE))

    def test_good(self):
        self.assertEqual(self.lint(), [])

    def test_bad(self):
        self.assertIn("has no permission", self.lint('option (vedette.common.v1.permission) = "things.read";', "")[0])
        self.assertIn("no comment", self.lint("// Things.", "")[0])
        self.assertIn("UNSPECIFIED", self.lint("STATE_UNSPECIFIED", "NONE")[0])
        self.assertIn("lower_snake_case", self.lint("string left", "string leftPart")[0])
        self.assertIn("/v1/", self.lint("/v1/{name", "/v2/{name")[0])


if __name__ == "__main__":
    loader = importlib.machinery.SourceFileLoader("check_breaking", sys.argv.pop())
    spec = importlib.util.spec_from_loader("check_breaking", loader)
    check = importlib.util.module_from_spec(spec)
    loader.exec_module(check)
    unittest.main()
