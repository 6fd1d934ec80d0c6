"""The OpenAPI document is one, by a validator of others."""

import json
import os
import urllib.request

from openapi_spec_validator import OpenAPIV31SpecValidator, validate

with urllib.request.urlopen(os.environ["HAROMBE"] + "/openapi.json") as answer:
    document = json.load(answer)
assert document["openapi"].startswith("3.1")
validate(document, cls=OpenAPIV31SpecValidator)
assert "/v1/sessions/{session_id}/messages" in document["paths"]
