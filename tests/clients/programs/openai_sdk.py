"""OpenAI's SDK as it is published, with nothing but its address changed."""

import json
import os
import re
import urllib.request

# The SDK's own client of HTTP.
import httpx2 as httpx
import openai

url = os.environ["HAROMBE"]
client = openai.OpenAI(base_url=url + "/v1", api_key=os.environ["KEY"], max_retries=0)


def decide(approval, decision):
    request = urllib.request.Request(
        f"{url}/v1/approvals/{approval}:decide",
        data=json.dumps({"decision": decision}).encode(),
        headers={"authorization": "Bearer " + os.environ["APPROVER_KEY"], "content-type": "application/json"},
    )
    with urllib.request.urlopen(request) as answer:
        return json.load(answer)


def say(text, **more):
    return client.chat.completions.create(model="default", messages=[{"role": "user", "content": text}], **more)


def refused(kind, **more):
    try:
        say("hello", **more)
    except kind as error:
        return error
    raise AssertionError(f"{more} was to be refused")


# Models are agents.
assert "default" in [model.id for model in client.models.list()]
assert client.models.retrieve("default").owned_by == "harombe"

# In one piece.
raw = client.chat.completions.with_raw_response.create(
    model="default",
    messages=[
        {"role": "system", "content": "Be kind."},
        {"role": "user", "content": "Hello."},
        {"role": "assistant", "content": "Hello, Ann."},
        {"role": "user", "content": "How are you?"},
    ],
    temperature=0.5,
)
session = raw.headers["x-harombe-session"]
answer = raw.parse()
assert answer.choices[0].message.content == "Good day.", answer
assert answer.choices[0].finish_reason == "stop"
assert answer.usage.total_tokens == answer.usage.prompt_tokens + answer.usage.completion_tokens > 0
assert answer.model_extra["harombe"]["session_id"] == session

# The session goes on.
again = client.chat.completions.with_raw_response.create(
    model="default",
    messages=[{"role": "user", "content": "And now?"}],
    extra_headers={"X-Harombe-Session": session},
)
assert again.headers["x-harombe-session"] == session
assert again.parse().choices[0].message.content == "Good day."

# In chunks.
chunks = list(say("hello", stream=True, stream_options={"include_usage": True}))
assert chunks[0].choices[0].delta.role == "assistant"
assert "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices) == "Good day."
assert chunks[-2].choices[0].finish_reason == "stop"
assert chunks[-1].choices == [] and chunks[-1].usage.total_tokens > 0

# A tool of the agent's: somebody decides while the stream waits.
for decision, ending in [("DECISION_DENIED", "APPROVAL_DENIED"), ("DECISION_APPROVED", "42")]:
    events, text = [], ""
    for chunk in say("Run a program.", stream=True):
        text += (chunk.choices[0].delta.content or "") if chunk.choices else ""
        event = (chunk.model_extra or {}).get("harombe", {})
        events.append(next((key for key in event if key in ("tool_call_proposed", "approval_required",
                       "approval_decided", "tool_started", "tool_finished")), None))
        if "approval_required" in event:
            assert chunk.choices[0].delta.content is None
            decide(event["approval_required"]["approval_id"], decision)
        if "tool_finished" in event:
            finished = event["tool_finished"]
            assert ending in finished["reason"] + finished["result"], finished
    assert text.startswith("I will run a program.\n\nIt said: "), text
    assert "tool_call_proposed" in events and "approval_decided" in events, events

# While somebody decides, comments show that the stream is alive; the SDK passes over them. The decision comes only after some.
class Overheard(httpx.SyncByteStream):
    def __init__(self, stream):
        self.stream, self.said, self.comments, self.decided = stream, "", 0, False

    def __iter__(self):
        for piece in self.stream:
            self.said += piece.decode()
            waiting = re.search(r'"approval_required":.*?"approval_id":"([^"]+)"(.*)', self.said, re.DOTALL)
            self.comments = waiting.group(2).count(": keep-alive\n\n") if waiting else 0
            if self.comments >= 2 and not self.decided:
                self.decided = True
                decide(waiting.group(1), "DECISION_APPROVED")
            yield piece

    def close(self):
        self.stream.close()


class Overhearing(httpx.HTTPTransport):
    def handle_request(self, request):
        response = super().handle_request(request)
        response.stream = self.last = Overheard(response.stream)
        return response


transport = Overhearing()
patient = openai.OpenAI(
    base_url=url + "/v1", api_key=os.environ["KEY"], max_retries=0, http_client=httpx.Client(transport=transport)
)
messages = [{"role": "user", "content": "Run a program."}]
chunks = list(patient.chat.completions.create(model="default", messages=messages, stream=True))
assert transport.last.comments >= 2, transport.last.said
assert chunks[-1].choices[0].finish_reason == "stop", chunks[-1]
text = "".join(chunk.choices[0].delta.content or "" for chunk in chunks)
assert text.startswith("I will run a program.\n\nIt said: ") and "42" in text, text
assert transport.last.said.endswith("data: [DONE]\n\n"), transport.last.said

# Refusals are the SDK's own errors, and say why.
error = refused(openai.BadRequestError, tools=[{"type": "function", "function": {"name": "f"}}])
assert error.param == "tools" and "agent has its own tools" in error.message, error
error = refused(openai.BadRequestError, max_tokens=5)
assert error.param == "max_tokens", error
try:
    client.chat.completions.create(model="nobody", messages=[{"role": "user", "content": "hello"}])
    raise AssertionError("there is no such model")
except openai.NotFoundError as error:
    assert error.code == "model_not_found", error
try:
    openai.OpenAI(base_url=url + "/v1", api_key="hrb_wrong", max_retries=0).models.list()
    raise AssertionError("that is no key")
except openai.AuthenticationError as error:
    assert error.code == "UNAUTHENTICATED", error
try:
    # Another's session is none.
    openai.OpenAI(base_url=url + "/v1", api_key=os.environ["APPROVER_KEY"], max_retries=0).models.list()
    raise AssertionError("an approver uses no agents")
except openai.PermissionDeniedError as error:
    assert error.code == "NOT_ALLOWED", error
