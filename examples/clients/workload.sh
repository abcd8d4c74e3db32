#!/bin/sh
# A partner's workload in shell: exchanges its platform's JWT for a token (RFC 8693) and calls an API with it.
#
#     CARNET_ISSUER=https://sts.acme.example/production CARNET_API=orders-api CARNET_SCOPE=orders:read \
#     CARNET_ASSERTION_FILE=/var/run/secrets/carnet/token  workload.sh https://orders.acme.example/v1/orders
#
# Needs curl. Neither the assertion nor the token is ever an argument: arguments are readable by every user of the machine.
set -eu

: "${CARNET_ISSUER:?the issuer of the environment}" "${CARNET_API:?the name of the API}" "${CARNET_SCOPE:?scopes, space-separated}"
: "${CARNET_ASSERTION_FILE:?the file with the JWT of your platform; its audience is CARNET_ISSUER}"
[ $# = 1 ] || { echo "usage: workload.sh URL" >&2; exit 2; }

# The one member of a JSON object of strings without escapes, which holds for everything that is read here.
member() { sed -n 's/.*"'"$1"'" *: *"\([^"\\]*\)".*/\1/p'; }

answer=$(curl --silent --show-error --max-time 10 "$CARNET_ISSUER/token" \
    --data-urlencode grant_type=urn:ietf:params:oauth:grant-type:token-exchange \
    --data-urlencode subject_token_type=urn:ietf:params:oauth:token-type:jwt \
    --data-urlencode "subject_token@$CARNET_ASSERTION_FILE" \
    --data-urlencode "audience=$CARNET_API" \
    --data-urlencode "scope=$CARNET_SCOPE")
token=$(printf '%s' "$answer" | member access_token)

if [ -z "$token" ]; then
    # No token in a refusal: it may be shown. Its reason has a page: carnet explain REASON
    echo "refused: $answer" >&2
    exit 3
fi

printf 'header = "Authorization: Bearer %s"\n' "$token" |
    curl --silent --show-error --fail-with-body --max-time 10 --config - "$1"
