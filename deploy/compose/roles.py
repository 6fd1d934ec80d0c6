#!/usr/bin/env python3
"""Makes a role of Postgres for each service that has a store, and the SQL with which a new database begins: roles.py DIR

A service can open its own schema and no other. Passwords are in files of their own; the SQL has what SCRAM checks them
against (RFC 5802), from which no password can be had. What exists is left as it is.
"""

import base64
import hashlib
import hmac
import os
import secrets
import sys
from pathlib import Path

USER = 10001  # whom services run as in the image
SCHEMAS = {
    "gateway": ["harombe_gateway"],
    "memory": ["harombe_memory"],
    "hitl": ["harombe_hitl"],
    "audit": ["harombe_audit", "harombe_audit_keys"],
}


def password(path, owner):
    path.parent.mkdir(parents=True, exist_ok=True)
    value = secrets.token_urlsafe(32)
    with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(value + "\n")
    os.chown(path, owner, owner)
    return value


def verifier(value):
    salt, rounds = secrets.token_bytes(16), 4096
    salted = hashlib.pbkdf2_hmac("sha256", value.encode(), salt, rounds)
    key = lambda name: hmac.digest(salted, name, "sha256")
    text = lambda data: base64.b64encode(data).decode()
    stored = hashlib.sha256(key(b"Client Key")).digest()
    return f"SCRAM-SHA-256${rounds}:{text(salt)}${text(stored)}:{text(key(b'Server Key'))}"


def main():
    state = Path(sys.argv[1])
    sql = state / "init" / "roles.sql"
    if sql.exists():
        return
    password(state / "superuser" / "password", 0)
    lines = ["REVOKE ALL ON DATABASE harombe FROM PUBLIC;", "REVOKE ALL ON SCHEMA public FROM PUBLIC;"]
    for service, schemas in SCHEMAS.items():
        role = f"harombe_{service}"
        lines.append(f"CREATE ROLE {role} LOGIN PASSWORD '{verifier(password(state / service / 'password', USER))}';")
        lines.append(f"GRANT CONNECT ON DATABASE harombe TO {role};")
        lines += [f"CREATE SCHEMA {schema} AUTHORIZATION {role};" for schema in schemas]
    sql.parent.mkdir(exist_ok=True)
    # Last, and at once: a run that was cut short leaves no half of it.
    part = sql.with_suffix(".part")
    part.write_text("\n".join(lines) + "\n")
    part.chmod(0o644)
    part.rename(sql)


if __name__ == "__main__":
    main()
