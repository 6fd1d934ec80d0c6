// gRPC-Web as a browser's client speaks it: frames in the body of a fetch, the status in the last of them.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";

const { HAROMBE, KEY, APPROVER_KEY } = process.env;
const [AGENTS, APPROVALS, LOG] = ["agent.v1.AgentService", "hitl.v1.ApprovalService", "audit.v1.AuditService"];

// Protobuf: members as [number, value]; values are texts, bytes, numbers or messages in bytes.
function varint(number) {
  const bytes = [];
  for (number = BigInt(number); number > 127n; number >>= 7n) bytes.push(Number(number & 127n) | 128);
  return [...bytes, Number(number)];
}
function message(...members) {
  const parts = members.map(([number, value]) => {
    if (typeof value === "number") return Buffer.from([...varint(number << 3), ...varint(value)]);
    const bytes = Buffer.from(value);
    return Buffer.concat([Buffer.from([...varint((number << 3) | 2), ...varint(bytes.length)]), bytes]);
  });
  return Buffer.concat(parts);
}
// The members of a message by their numbers, each a list; a member that is not there is an empty list.
function members(bytes) {
  let at = 0;
  const next = () => {
    let number = 0n;
    for (let shift = 0n; ; shift += 7n) {
      const byte = BigInt(bytes[at++]);
      number |= (byte & 127n) << shift;
      if (byte < 128n) return number;
    }
  };
  const found = {};
  while (at < bytes.length) {
    const key = Number(next());
    let value;
    if ((key & 7) === 0) value = Number(next());
    else {
      assert.equal(key & 7, 2);
      const length = Number(next());
      value = bytes.subarray(at, (at += length));
    }
    (found[key >> 3] ??= []).push(value);
  }
  return new Proxy(found, { get: (found, number) => found[number] ?? [] });
}

function frame(message) {
  const head = Buffer.alloc(5);
  head.writeUInt32BE(message.length, 1);
  return Buffer.concat([head, message]);
}
const open = (service, method, messages, key, text = false) => {
  const body = Buffer.concat(messages.map(frame));
  return fetch(`${HAROMBE}/harombe.${service}/${method}`, {
    method: "POST",
    headers: {
      "content-type": text ? "application/grpc-web-text+proto" : "application/grpc-web+proto",
      "x-grpc-web": "1",
      ...(text && { accept: "application/grpc-web-text+proto" }),
      ...(key && { "x-api-key": key }),
    },
    body: text ? body.toString("base64") : body,
  });
};
// Messages as they come; then { status, trailers } as the last.
async function* frames(answer) {
  assert.equal(answer.status, 200);
  assert.match(answer.headers.get("content-type"), /^application\/grpc-web\+proto/);
  let rest = Buffer.alloc(0);
  for await (const piece of answer.body) {
    rest = Buffer.concat([rest, piece]);
    while (rest.length >= 5 && rest.length >= 5 + rest.readUInt32BE(1)) {
      const end = 5 + rest.readUInt32BE(1);
      const body = rest.subarray(5, end);
      if (rest[0] & 0x80) {
        const lines = body.toString().split("\r\n").filter((line) => line);
        const trailers = Object.fromEntries(lines.map((line) => [line.slice(0, line.indexOf(":")), line.slice(line.indexOf(":") + 1).trim()]));
        assert.equal(rest.length, end, "nothing comes after the trailers");
        yield { status: Number(trailers["grpc-status"]), trailers };
      } else yield body;
      rest = rest.subarray(end);
    }
  }
  assert.equal(rest.length, 0, "a frame broke off");
}
async function call(service, method, messages, key) {
  const answer = await open(service, method, messages, key);
  // A refusal before the first message has its status in the headers, with an empty body, or in a frame.
  const early = answer.headers.get("grpc-status");
  const all = [];
  for await (const one of frames(answer)) all.push(one);
  const last = all.at(-1)?.trailers ?? { "grpc-status": early, "grpc-message": answer.headers.get("grpc-message"),
    "grpc-status-details-bin": answer.headers.get("grpc-status-details-bin") };
  assert.notEqual(last["grpc-status"] ?? null, null, `${method} has no status`);
  return { status: Number(last["grpc-status"]), trailers: last, messages: all.filter((one) => one instanceof Uint8Array) };
}
async function one(service, method, request, key) {
  const { status, trailers, messages } = await call(service, method, [request], key);
  assert.equal(status, 0, `${method}: ${JSON.stringify(trailers)}`);
  assert.equal(messages.length, 1);
  return members(messages[0]);
}
// An error is trailers that say the code, why in words, and our reason in the details.
async function refused(service, method, request, key, code, reason) {
  const { status, trailers, messages } = await call(service, method, [request], key);
  assert.deepEqual([status, messages.length], [code, 0], `${method}: ${JSON.stringify(trailers)}`);
  assert.ok(decodeURIComponent(trailers["grpc-message"]).length > 0);
  assert.ok(Buffer.from(trailers["grpc-status-details-bin"], "base64").includes(reason), `${method}: ${reason}`);
}
const text = (bytes) => Buffer.from(bytes).toString();

// A session, and a message whose run waits for somebody to decide.
const created = await one(AGENTS, "CreateSession", message(), KEY);
const session = text(members(created[1][0])[1][0]);
const send = message([1, session], [2, "1"], [3, "Run a program."]);
let run, approval;
const kinds = [];
let ended;
for await (const part of frames(await open(AGENTS, "SendMessage", [send], KEY))) {
  if (part.trailers) { ended = part; continue; }
  const event = members(members(part)[1][0]);
  run = text(event[1][0]);
  for (let kind = 10; kind <= 22; kind++) if (event[kind].length) kinds.push(kind);
  if (!event[15].length) continue;
  // ApprovalRequired
  approval = text(members(event[15][0])[2][0]);
  const listed = (await one(APPROVALS, "List", message(), APPROVER_KEY))[1].map((one) => text(members(one)[1][0]));
  assert.ok(listed.includes(approval), listed);
  const watch = frames(await open(APPROVALS, "Watch", [message()], APPROVER_KEY));
  const shown = (await watch.next()).value;
  assert.equal(text(members(members(shown)[1][0])[1][0]), approval);
  await watch.return();
  await refused(APPROVALS, "Decide", message([1, approval], [2, 1]), KEY, 7, "NOT_ALLOWED");
  const decided = members((await one(APPROVALS, "Decide", message([1, approval], [2, 1], [4, "go on"]), APPROVER_KEY))[1][0]);
  assert.deepEqual([text(decided[14][0]), decided[13][0]], ["bob", 1]);
}
assert.equal(ended.status, 0);
assert.ok(kinds.includes(16) && kinds.includes(19) && kinds.at(-1) === 21, kinds);
await refused(APPROVALS, "Decide", message([1, approval], [2, 2]), APPROVER_KEY, 9, "ALREADY_DECIDED");

// The run again, from the third event.
const watched = await call(AGENTS, "WatchRun", [message([1, run], [2, 3])], KEY);
assert.equal(watched.status, 0);
const cursors = watched.messages.map((one) => members(members(one)[1][0])[2][0]);
assert.equal(cursors[0], 4);

// A file there and back, in as many frames as it has.
const data = randomBytes(1_500_000);
const start = message([1, session], [2, "in/data.bin"], [3, data.length], [4, createHash("sha256").update(data).digest()]);
const parts = [message([1, start])];
for (let at = 0; at < data.length; at += 400_000) parts.push(message([2, data.subarray(at, at + 400_000)]));
const uploaded = await call(AGENTS, "UploadFile", parts, KEY);
assert.equal(uploaded.status, 0, JSON.stringify(uploaded.trailers));
assert.equal(members(uploaded.messages[0])[2][0], data.length);
const download = message([1, session], [2, "in/data.bin"]);
const downloaded = await call(AGENTS, "DownloadFile", [download], KEY);
assert.equal(downloaded.status, 0);
assert.ok(Buffer.concat(downloaded.messages.map((one) => members(one)[1][0])).equals(data));
const cut = [parts[0], message([2, data.subarray(0, 10)])];
assert.equal((await call(AGENTS, "UploadFile", cut, KEY)).status, 3, "what was announced must come");

// What the log says, with a proof.
const found = await call(LOG, "Query", [message([2, run])], KEY);
assert.equal(found.status, 0);
const entries = found.messages.map((one) => members(one)[1][0]).filter((entry) => entry);
assert.ok(entries.some((entry) => Buffer.from(entry).includes('"approval.decided"')));
const index = members(entries[0])[1][0] ?? 0;
const proof = await one(LOG, "GetInclusionProof", message([1, index]), KEY);
assert.ok(proof[4].length === 1 && text(proof[5][0]).length > 0);
assert.match(text((await one(LOG, "GetCheckpoint", message(), KEY))[2][0]), /harombe/);

// Refusals.
await refused(AGENTS, "ListAgents", message(), undefined, 16, "UNAUTHENTICATED");
await refused(AGENTS, "ListAgents", message(), "hrb_nonsense", 16, "UNAUTHENTICATED");
await refused(AGENTS, "GetSession", message([1, run]), KEY, 5, "NOT_FOUND");
await refused(AGENTS, "GetSession", message([1, "x"]), KEY, 3, "INVALID_ARGUMENT");
await refused(LOG, "Append", message(), KEY, 7, "NOT_ALLOWED");
await refused(AGENTS, "WatchRun", message([1, session]), KEY, 5, "NOT_FOUND");
assert.equal((await call("agent.v1.AgentService", "NoSuchMethod", [message()], KEY)).status, 12);

// The same in base64, as clients send it that cannot read bytes.
const encoded = await open(AGENTS, "ListAgents", [message()], KEY, true);
assert.match(encoded.headers.get("content-type"), /^application\/grpc-web-text/);
const decoded = (await encoded.text()).match(/[^=]+=*/g).map((piece) => Buffer.from(piece, "base64"));
assert.ok(Buffer.concat(decoded).includes("grpc-status:0") && Buffer.concat(decoded).includes("default"));
