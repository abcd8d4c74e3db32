#!/bin/sh
# A workload's certificate in shell: enrols once by a one-time token (EST, RFC 7030), and renews with the certificate in use.
#
#     CARNET_MTLS=https://mtls.sts.acme.example CARNET_ENVIRONMENT=production CARNET_CA=root.pem CARNET_DIR=/var/lib/order-sync \
#     CARNET_INTEGRATION=globex/order-sync CARNET_ENROLMENT_FILE=token  certificate.sh enrol
#     CARNET_MTLS=... CARNET_ENVIRONMENT=... CARNET_CA=... CARNET_DIR=...  certificate.sh renew     # from cron, well before a day is over
#
# Needs curl and openssl. The key is made here and never leaves; key and chain change together, by one rename of a link: whoever reads
# DIR/current sees the old pair or the new one. Use them as  curl --cert DIR/current/chain.pem --key DIR/current/key.pem
set -eu
umask 077

: "${CARNET_MTLS:?https:// of the mTLS socket}" "${CARNET_ENVIRONMENT:?the environment}" "${CARNET_CA:?the root of the environment, as PEM}"
: "${CARNET_DIR:?the folder for keys and certificates}"
[ $# = 1 ] || { echo "usage: certificate.sh enrol|renew" >&2; exit 2; }

mkdir -p "$CARNET_DIR"
next=$(mktemp -d "$CARNET_DIR/pair.XXXXXX")
done=
trap '[ -n "$done" ] || rm -rf "$next"' EXIT

openssl ecparam -name prime256v1 -genkey -noout -out "$next/key.pem"
openssl req -new -key "$next/key.pem" -subj / -outform DER | openssl base64 -out "$next/request"

# The token is never an argument: arguments are readable by every user of the machine.
case $1 in
enrol)
    : "${CARNET_INTEGRATION:?PARTNER/INTEGRATION}" "${CARNET_ENROLMENT_FILE:?the file with the one-time token}"
    printf 'user = "%s:%s"\n' "$CARNET_INTEGRATION" "$(cat "$CARNET_ENROLMENT_FILE")" >"$next/options"
    operation=simpleenroll
    ;;
renew)
    printf 'cert = "%s"\nkey = "%s"\n' "$CARNET_DIR/current/chain.pem" "$CARNET_DIR/current/key.pem" >"$next/options"
    operation=simplereenroll
    ;;
*)
    echo "usage: certificate.sh enrol|renew" >&2
    exit 2
    ;;
esac

# Before the token is used up: where nobody answers this, it is not.
curl --silent --show-error --fail --max-time 30 --cacert "$CARNET_CA" --output "$next/authorities" \
    "$CARNET_MTLS/.well-known/est/$CARNET_ENVIRONMENT/cacerts"
status=$(curl --silent --show-error --max-time 30 --cacert "$CARNET_CA" --config "$next/options" --output "$next/answer" \
    --write-out '%{http_code}' --header 'content-type: application/pkcs10' --data-binary "@$next/request" \
    "$CARNET_MTLS/.well-known/est/$CARNET_ENVIRONMENT/$operation")
rm -f "$next/options"
if [ "$status" != 200 ]; then
    # The reason in words; it has a page: carnet explain REASON
    cat "$next/answer" >&2
    exit 3
fi
openssl base64 -d -in "$next/answer" | openssl pkcs7 -inform DER -print_certs -out "$next/leaf.pem"

# The answer is the certificate alone (RFC 7030 section 4.2.3). What leads from it to the root comes from cacerts, fetched above: the one that
# signed it, by its key, because after a rotation there are two of one name.
openssl base64 -d -in "$next/authorities" | openssl pkcs7 -inform DER -print_certs | awk -v to="$next/authority" \
    '/BEGIN CERTIFICATE/ { file = to "." ++n ".pem" } file { print > file } /END CERTIFICATE/ { close(file); file = "" }'
cp "$next/leaf.pem" "$next/chain.pem"
for authority in "$next"/authority.*.pem; do
    subject=$(openssl x509 -in "$authority" -noout -subject_hash)
    [ "$subject" != "$(openssl x509 -in "$authority" -noout -issuer_hash)" ] || continue
    if openssl verify -partial_chain -trusted "$authority" "$next/leaf.pem" >/dev/null 2>&1; then
        openssl x509 -in "$authority" >>"$next/chain.pem"
        break
    fi
done
openssl verify -CAfile "$CARNET_CA" -untrusted "$next/chain.pem" "$next/leaf.pem" >/dev/null
rm -f "$next"/authority.*.pem "$next/authorities" "$next/answer" "$next/leaf.pem" "$next/request"

before=$(readlink "$CARNET_DIR/current" || true)
ln -s "$(basename "$next")" "$next.link"
mv -T "$next.link" "$CARNET_DIR/current"
done=yes
case $before in pair.*) rm -rf "${CARNET_DIR:?}/$before" ;; esac
openssl x509 -in "$CARNET_DIR/current/chain.pem" -noout -enddate
