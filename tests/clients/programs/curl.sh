#!/bin/bash
# curl: REST, events, files, approvals and the log.
set -euo pipefail

die() { echo "$*" >&2; exit 1; }
ann() { curl -sS --max-time 60 -H "authorization: Bearer $KEY" "$@"; }
bob() { curl -sS --max-time 60 -H "x-api-key: $APPROVER_KEY" "$@"; }
json() { python3 -c 'import json, sys; value = json.load(sys.stdin)
for key in sys.argv[1:]: value = value[int(key) if key.isdigit() and isinstance(value, list) else key]
print(value)' "$@"; }
has() { grep -q -- "$2" <<<"$1" || die "no $2 in: $1"; }
# The status and the body of a request that is refused.
status() { curl -sS --max-time 60 -o refusal.json -w '%{http_code}' "$@"; }

# Both versions of HTTP on one port.
for version in --http1.1 --http2-prior-knowledge; do
    has "$(curl -sS $version "$HAROMBE/healthz")" SERVING
    has "$(ann $version "$HAROMBE/v1/agents")" '"name":"default"'
done

session=$(ann -X POST "$HAROMBE/v1/sessions" | json session_id)
has "$(ann "$HAROMBE/v1/sessions/$session")" '"agent":"default"'

# A message; its run waits for a decision while others look.
ann -N -H 'content-type: application/json' -d '{"client_message_id": "1", "text": "Run a program."}' \
    "$HAROMBE/v1/sessions/$session/messages" >events.txt &
sender=$!
approval=
for _ in $(seq 300); do
    approval=$(bob "$HAROMBE/v1/approvals" | json approvals | grep -o "'approval_id': '[^']*'" | cut -d"'" -f4 || true)
    [ -n "$approval" ] && break
    sleep 0.1
done
[ -n "$approval" ] || die "nothing waits for approval: $(cat events.txt)"
has "$(curl -sS -N --max-time 3 -H "x-api-key: $APPROVER_KEY" "$HAROMBE/v1/approvals:watch" || true)" "$approval"
decided=$(bob -H 'content-type: application/json' -d '{"decision": "DECISION_APPROVED", "comment": "go on"}' \
    "$HAROMBE/v1/approvals/$approval:decide")
has "$decided" '"decided_by":"bob"'
wait $sender
has "$(cat events.txt)" 'event: tool_finished'
has "$(tail -4 events.txt)" 'event: run_finished'
# The same again is the same; otherwise is too late.
code=$(status -H "x-api-key: $APPROVER_KEY" -H 'content-type: application/json' \
    -d '{"decision": "DECISION_DENIED"}' "$HAROMBE/v1/approvals/$approval:decide")
has "$code $(cat refusal.json)" ALREADY_DECIDED

# The run again, after the third event, and after the last there is nothing to wait for.
run=$(grep -o '"run_id":"[^"]*"' events.txt | head -1 | cut -d'"' -f4)
has "$(ann "$HAROMBE/v1/runs/$run")" RUN_STATE_FINISHED
again=$(ann -N -H 'last-event-id: 3' "$HAROMBE/v1/runs/$run/events")
has "$(head -1 <<<"$again")" 'id: 4'
last=$(grep '^id: ' events.txt | tail -1 | cut -d' ' -f2)
[ "$(status -H "authorization: Bearer $KEY" -H "last-event-id: $last" "$HAROMBE/v1/runs/$run/events")" = 204 ] ||
    die "a run that has ended must not be waited for"
has "$(ann -H 'accept: application/x-ndjson' "$HAROMBE/v1/runs/$run/events" | tail -1)" run_finished
ann -X POST "$HAROMBE/v1/runs/$run:cancel" >/dev/null

# Files, there and back, with spaces and folders in their names.
head -c 5000000 /dev/urandom >data.bin
has "$(ann -T data.bin "$HAROMBE/v1/sessions/$session/files/my%20data/a.bin")" '"size":"5000000"'
ann -o back.bin "$HAROMBE/v1/sessions/$session/files/my%20data/a.bin"
cmp data.bin back.bin
[ "$(status -H "authorization: Bearer $KEY" "$HAROMBE/v1/sessions/$session/files/none")" = 404 ] || die "there is no such file"
head -c 70000000 /dev/zero >large.bin
[ "$(status -H "authorization: Bearer $KEY" -T large.bin "$HAROMBE/v1/sessions/$session/files/large")" = 413 ] ||
    die "that file is too large: $(cat refusal.json)"
[ "$(status -T data.bin "$HAROMBE/v1/sessions/$session/files/a")" = 401 ] || die "that was nobody"
ann -X POST -H 'content-type: application/json' -d '{"arguments": "{}"}' -o called.txt -w '%{http_code}' \
    "$HAROMBE/v1/sessions/$session/tools/file_list:call" | grep -q 403 || die "calling tools is for admins"

# The log.
entries=$(ann -H 'accept: application/x-ndjson' "$HAROMBE/v1/audit/entries?run_id=$run")
has "$entries" '"entry"'
index=$(head -1 <<<"$entries" | json entry index)
has "$(ann "$HAROMBE/v1/audit/entries/$index/proof")" '"hashes"'
has "$(ann "$HAROMBE/v1/audit/checkpoint")" '"verifier_key"'

# Refusals say what to do.
[ "$(status "$HAROMBE/v1/agents")" = 401 ] || die "that was nobody"
has "$(cat refusal.json)" '"reason":"UNAUTHENTICATED"'
[ "$(status -X PATCH -H "authorization: Bearer $KEY" "$HAROMBE/v1/sessions")" = 405 ] || die "wrong method"
[ "$(status -H "authorization: Bearer $KEY" -d '{}' "$HAROMBE/v1/sessions")" = 415 ] || die "that was a form"
[ "$(status -H "authorization: Bearer $KEY" -H 'content-type: application/json' -d '{"agnet": "x"}' "$HAROMBE/v1/sessions")" = 400 ] ||
    die "a field that there is not"
has "$(cat refusal.json)" agnet
[ "$(status "$HAROMBE/v2/sessions")" = 404 ] || die "there is nothing"
has "$(cat refusal.json)" openapi.json
