#!/bin/sh
# Makes certs.json: the certificates of the tests. They are made once and kept, since tests read no files
# and start no programs. Keys are of no worth: everybody has them.
#
#   sh tests/tls/make_certs.sh          (needs openssl 3; writes beside itself)
#
#   ca         signs: server, expired, wrongName       clientCa   signs: client, clientExpired
#   strangeCa  signs: untrusted, clientUntrusted       (nobody trusts it)
#
# An authority must not be used as a certificate of its own (Deno refuses that), and names must stand in
# subjectAltName: the common name is not looked at.
set -eu
target=$(dirname "$(realpath "$0")")/certs.json
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
cd "$folder"

long="-startdate 20200101000000Z -enddate 21250101000000Z"
past="-startdate 20200101000000Z -enddate 20210101000000Z"
cat > ca.cnf <<'CNF'
[ca]
default_ca = tests
[tests]
database = ./index.txt
new_certs_dir = .
serial = ./serial
default_md = sha256
unique_subject = no
policy = anything
[anything]
commonName = optional
organizationName = optional
CNF
: > index.txt
echo 1000 > serial

key() { # name, subject
  openssl req -new -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes \
    -subj "$2" -keyout "$1.key" -out "$1.csr" 2> /dev/null
}

authority() { # name, subject
  key "$1" "$2"
  printf 'basicConstraints = critical, CA:TRUE\nkeyUsage = critical, keyCertSign, cRLSign\n' > "$1.ext"
  openssl ca -batch -config ca.cnf -selfsign -keyfile "$1.key" -in "$1.csr" -out "$1.crt" \
    -extfile "$1.ext" -notext $long 2> /dev/null
}

leaf() { # name, authority, subject, usage, dates, alternative names
  key "$1" "$3"
  printf 'basicConstraints = CA:FALSE\nextendedKeyUsage = %s\n' "$4" > "$1.ext"
  if [ -n "${6:-}" ]; then printf 'subjectAltName = %s\n' "$6" >> "$1.ext"; fi
  openssl ca -batch -config ca.cnf -cert "$2.crt" -keyfile "$2.key" -in "$1.csr" -out "$1.crt" \
    -extfile "$1.ext" -notext $5 2> /dev/null
}

here="DNS:localhost, IP:127.0.0.1, IP:::1"
authority ca "/CN=vnet test authority"
authority clientCa "/CN=vnet test authority for clients"
authority strangeCa "/CN=an authority that nobody trusts"
leaf server ca "/CN=localhost" serverAuth "$long" "$here"
leaf expired ca "/CN=localhost" serverAuth "$past" "$here"
leaf wrongName ca "/CN=localhost" serverAuth "$long" "DNS:elsewhere.example"
leaf untrusted strangeCa "/CN=localhost" serverAuth "$long" "$here"
leaf client clientCa "/O=vnet tests/CN=ann" clientAuth "$long"
leaf clientExpired clientCa "/O=vnet tests/CN=bob" clientAuth "$past"
leaf clientUntrusted strangeCa "/O=vnet tests/CN=ann" clientAuth "$long"

text() { awk '{ printf "%s\\n", $0 }' "$1"; }
{
  printf '{\n'
  for name in ca clientCa; do printf '  "%s": "%s",\n' "$name" "$(text $name.crt)"; done
  separator=""
  for name in server expired wrongName untrusted client clientExpired clientUntrusted; do
    printf '%b  "%s": {\n    "cert": "%s",\n    "key": "%s"\n  }' \
      "$separator" "$name" "$(text $name.crt)" "$(text $name.key)"
    separator=",\n"
  done
  printf '\n}\n'
} > "$target"
