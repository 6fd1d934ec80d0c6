"""grpcio, with stubs generated here and now from the protos."""

import hashlib
import os
import pathlib
import subprocess
import sys

import grpc

protos = os.environ["PROTO"]
files = [str(path) for path in pathlib.Path(protos).rglob("*.proto")]
generate = [sys.executable, "-m", "grpc_tools.protoc", f"-I{protos}", "--python_out=.", "--grpc_python_out=."]
subprocess.run(generate + files, check=True)
sys.path.insert(0, os.getcwd())

from harombe.agent.v1 import agent_pb2 as agent
from harombe.agent.v1.agent_pb2_grpc import AgentServiceStub
from harombe.audit.v1 import audit_pb2 as audit
from harombe.audit.v1.audit_pb2_grpc import AuditServiceStub
from harombe.hitl.v1 import approval_pb2 as approval
from harombe.hitl.v1.approval_pb2_grpc import ApprovalServiceStub
from harombe.types.v1 import run_event_pb2 as event

channel = grpc.insecure_channel(os.environ["HAROMBE"].removeprefix("http://"))
ann = [("authorization", "Bearer " + os.environ["KEY"])]
bob = [("x-api-key", os.environ["APPROVER_KEY"])]
agents, approvals, log = AgentServiceStub(channel), ApprovalServiceStub(channel), AuditServiceStub(channel)


def refused(code, call):
    try:
        call()
    except grpc.RpcError as error:
        assert error.code() == code, error
        return
    raise AssertionError(f"{code} was expected")


# Who nobody knows is told so.
refused(grpc.StatusCode.UNAUTHENTICATED, lambda: agents.ListAgents(agent.ListAgentsRequest()))
refused(grpc.StatusCode.PERMISSION_DENIED, lambda: agents.ListAgents(agent.ListAgentsRequest(), metadata=bob))

# A run with a tool call that somebody else approves.
session = agents.CreateSession(agent.CreateSessionRequest(), metadata=ann).session.session_id
message = agent.SendMessageRequest(session_id=session, client_message_id="1", text="Run a program.")
seen = []
for answer in agents.SendMessage(message, metadata=ann):
    seen.append(answer.event)
    if answer.event.WhichOneof("event") == "approval_required":
        waiting = answer.event.approval_required.approval_id
        assert waiting in [found.approval_id for found in approvals.List(approval.ListRequest(), metadata=bob).approvals]
        first = next(iter(approvals.Watch(approval.WatchRequest(), metadata=bob)))
        assert first.approval.approval_id == waiting
        decision = approval.DecideRequest(approval_id=waiting, decision=event.DECISION_APPROVED)
        assert approvals.Decide(decision, metadata=bob).approval.decided_by == "bob"
names = [found.WhichOneof("event") for found in seen]
assert names[-1] == "run_finished" and "tool_finished" in names, names
assert any("42" in found.tool_finished.result for found in seen)

# Its events again, from the middle.
watch = agent.WatchRunRequest(run_id=seen[0].run_id, after_cursor=3)
cursors = [answer.event.cursor for answer in agents.WatchRun(watch, metadata=ann)]
assert cursors[0] == 4 and cursors[-1] == seen[-1].cursor and cursors == sorted(set(cursors)), cursors
refused(grpc.StatusCode.NOT_FOUND, lambda: agents.GetRun(agent.GetRunRequest(run_id=session), metadata=ann))

# A file there and back.
data = os.urandom(3_000_000)
start = agent.UploadStart(session_id=session, path="in/data.bin", size=len(data), sha256=hashlib.sha256(data).digest())
frames = [agent.UploadFileRequest(start=start)]
frames += [agent.UploadFileRequest(data=data[at:at + 500_000]) for at in range(0, len(data), 500_000)]
assert agents.UploadFile(iter(frames), metadata=ann).size == len(data)
download = agent.DownloadFileRequest(session_id=session, path="in/data.bin")
assert b"".join(part.data for part in agents.DownloadFile(download, metadata=ann)) == data

# What the log says of it.
entries = [item.entry for item in log.Query(audit.QueryRequest(run_id=seen[0].run_id), metadata=ann) if item.HasField("entry")]
kinds = [entry.leaf.decode() for entry in entries]
assert any('"approval.decided"' in leaf for leaf in kinds), kinds
assert "harombe" in log.GetCheckpoint(audit.GetCheckpointRequest(), metadata=ann).verifier_key
proof = log.GetInclusionProof(audit.GetInclusionProofRequest(index=entries[0].index), metadata=ann)
assert proof.leaf == entries[0].leaf
refused(grpc.StatusCode.PERMISSION_DENIED, lambda: log.Append(audit.AppendRequest(), metadata=ann))

# Health and reflection, for anybody.
health = channel.unary_unary("/grpc.health.v1.Health/Check")
assert health(b"") == b"\x08\x01"
reflection = channel.stream_stream("/grpc.reflection.v1.ServerReflection/ServerReflectionInfo")
services = next(reflection(iter([b"\x3a\x00"])))
assert b"harombe.agent.v1.AgentService" in services and b"harombe.hitl.v1.ApprovalService" in services
