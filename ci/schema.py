#!/usr/bin/env python3
"""Checks reports, events and the files of jobs against docs/schema.

Reads lines of {"schema": "report", "event" or "job", "run": TEXT, "document": ...} from
standard input, prints what does not fit, and fails if anything does not.
crates/cli/tests/cli/json.rs calls it with the output of every command.
"""
import json
import pathlib
import sys

import jsonschema

schemas = pathlib.Path(__file__).parent.parent / "docs" / "schema"
report = json.loads((schemas / "report.schema.json").read_text())
event = json.loads((schemas / "event.schema.json").read_text())
job = json.loads((schemas / "job.schema.json").read_text())
Validator = jsonschema.Draft202012Validator
for one in (report, event, job):
    Validator.check_schema(one)
try:
    from referencing import Registry, Resource

    resources = [(one["$id"], Resource.from_contents(one)) for one in (report, event)]
    refer = {"registry": Registry().with_resources(resources)}
except ImportError:  # before jsonschema 4.18
    store = {one["$id"]: one for one in (report, event)}
    refer = {"resolver": jsonschema.RefResolver("", None, store=store)}
validators = {"report": Validator(report, **refer), "event": Validator(event, **refer)}
validators["job"] = Validator(job)

checked = failed = 0
for line in sys.stdin:
    given = json.loads(line)
    checked += 1
    error = jsonschema.exceptions.best_match(
        validators[given["schema"]].iter_errors(given["document"])
    )
    if error is not None:
        failed += 1
        print(f"{given['run']}: {json.dumps(given['document'])}")
        # All that each alternative has against it.
        for alternative in error.context or [error]:
            print(f"  {'/'.join(map(str, alternative.schema_path))}: {alternative.message[:300]}")
print(f"{checked} documents, {failed} do not fit")
sys.exit(failed != 0 or checked == 0)
