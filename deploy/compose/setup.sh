#!/bin/sh
# Makes what the services prove themselves with, once: certificates for talking to each other, one for the public door, and roles
# of Postgres.
set -eu

if ! [ -e /state/pki/ca.pem ]; then
    harombe pki init /state/pki
    # Each service reads its own folder, as the user that it runs as; the CA's key stays with root, and is mounted nowhere.
    for service in gateway runtime memory egress-proxy hitl audit; do
        chown -R 10001:10001 "/state/pki/$service"
    done
fi

# For trying it out on this machine. For others, put a certificate there that they trust.
if ! [ -e /state/public/cert.pem ]; then
    mkdir -p /state/public
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 365 -subj /CN=localhost \
        -addext basicConstraints=critical,CA:FALSE -addext subjectAltName=DNS:localhost,IP:127.0.0.1 \
        -keyout /state/public/key.pem -out /state/public/cert.pem
    chmod 0600 /state/public/key.pem
    chown -R 10001:10001 /state/public
    chmod 0755 /state/public
fi

python3 /roles.py /state/postgres
