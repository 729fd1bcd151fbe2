"""What Schemathesis cannot read in our OpenAPI document, or cannot know of our service."""

import json
import os

import schemathesis
from schemathesis import GenerationMode

NDJSON = "application/x-ndjson"
# What is there before the first request: each is the only value of its kind that names something.
KNOWN = json.loads(os.environ["KNOWN"])
# These make and remove what the others need.
WITH_NAMES_OF_THEIR_OWN = {"PUT /api/queues/{queue}", "DELETE /api/queues/{queue}", "DELETE /api/documents/{id}"}


@schemathesis.hook
def before_load_schema(context, raw_schema):
    """The schema of NDJSON is that of one line; a value marked `x-per-item` is taken whatever it is."""
    for path in raw_schema["paths"].values():
        for operation in path.values():
            content_types = [response.get("content", {}) for response in operation["responses"].values()]
            for content in [operation.get("requestBody", {}).get("content", {}), *content_types]:
                if NDJSON in content:
                    content[NDJSON]["schema"] = {"type": "array", "items": content[NDJSON]["schema"]}
                for media in content.values():
                    media["schema"] = with_any_items(media["schema"])


def with_any_items(schema):
    if isinstance(schema, list):
        return [with_any_items(member) for member in schema]
    if not isinstance(schema, dict):
        return schema
    rest = {key: with_any_items(value) for key, value in schema.items() if key != "x-per-item"}
    return {"anyOf": [rest, {}]} if schema.get("x-per-item") else rest


@schemathesis.hook
def before_call(context, case, kwargs):
    """A valid request asks for what exists, and has no cursor: nobody can make one up."""
    if case.meta is None or case.meta.generation.mode != GenerationMode.POSITIVE:
        return
    if case.operation.label not in WITH_NAMES_OF_THEIR_OWN:
        for name in case.path_parameters or {}:
            case.path_parameters[name] = KNOWN.get(name, case.path_parameters[name])
    if case.query:
        case.query.pop("cursor", None)
        if case.operation.label == "GET /api/documents/changes":
            case.query.pop("after", None)
    if isinstance(case.body, (dict, list)):
        case.body = without_proto(case.body)
    # No queue is its own dead letter queue.
    if case.operation.label == "PUT /api/queues/{queue}" and isinstance(case.body, dict):
        case.path_parameters["queue"] = "own." + case.path_parameters["queue"][:90]


def without_proto(value):
    """No body has the key `__proto__` at any depth, which a schema cannot say of what may be anything."""
    if isinstance(value, list):
        return [without_proto(member) for member in value]
    if not isinstance(value, dict):
        return value
    return {key: without_proto(member) for key, member in value.items() if key != "__proto__"}


@schemathesis.serializer(NDJSON)
def to_lines(context, value):
    lines = value if isinstance(value, list) else [value]
    return b"".join(json.dumps(line).encode() + b"\n" for line in lines)


@schemathesis.deserializer(NDJSON)
def from_lines(context, response):
    return [json.loads(line) for line in response.content.splitlines()]
