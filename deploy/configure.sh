#!/usr/bin/env bash
# Make the first configuration, with a release that is installed; --help says more.
#
# `tornado-webrtc init` makes it, in a folder beside. What gets its name there is complete;
# server.ini comes last, so a run that is cut off is gone on with by the next.

set -euo pipefail
umask 022

here=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/settings.sh
. "$here/settings.sh"

usage() {
    cat <<'END'
Usage: configure.sh [--settings FILE] RELEASE

  Make server.ini, and with it a TURN secret and a development certificate, if there is no
  server.ini. A secret and a certificate that are there stay. RELEASE is the folder of an
  installed release. deploy.sh calls this the first time.

Options:
  --settings FILE  Instead of /etc/tornado-webrtc/deploy.conf.
  -h, --help       Show this.
END
}

# Give keys of server.ini a value, where they stand commented out: SECTION KEY VALUE.
put() {
    SECTION=$1 KEY=$2 VALUE=$3 awk '
        /^\[/ { section = $0 }
        section == "[" ENVIRON["SECTION"] "]" && $1 ~ "^#?" ENVIRON["KEY"] "$" && $2 == "=" {
            print ENVIRON["KEY"] " = " ENVIRON["VALUE"]
            next
        }
        { print }
    ' "$made/server.ini" >"$made/.edited"
    mv "$made/.edited" "$made/server.ini"
}

configure() {
    local release=$1 folder=${SETTING[CONF]%/*} group=${SETTING[RUN_AS]:-root}
    rm -rf "$folder"/.making-*
    made=$folder/.making-$$
    "$release/bin/tornado-webrtc" init "$made" --domain "${SETTING[DOMAIN]}" \
        --port "${SETTING[PORT]}" >/dev/null
    put general cert tls/fullchain.pem
    put general key tls/privkey.pem
    put general redirect_port "${SETTING[HTTP_PORT]}"
    put general challenge_dir acme
    put general state_dir "${SETTING[STATE_DIR]}"
    [[ -z ${SETTING[PUBLIC_IP]} ]] || put turn public_ip "${SETTING[PUBLIC_IP]}"
    install -d -m 755 "$folder/acme"
    install -d -m 750 "$made/tls"
    mv "$made/certs/cert.pem" "$made/tls/fullchain.pem"
    mv "$made/certs/key.pem" "$made/tls/privkey.pem"
    give "root:$group" "$made/tls" "$made/server.ini"
    give "$group:$group" "$made/secret" "$made"/tls/*.pem
    chmod 640 "$made/server.ini"
    sync -f "$made"
    put_secret "$folder/secret"
    put_certificate "$folder/tls"
    mv "$made/server.ini" "${SETTING[CONF]}"
    sync -f "$folder"
    rm -rf "$made"
    say "${SETTING[CONF]} is made, for ${SETTING[DOMAIN]}"
}

# Credentials that clients have are made with the secret that is there.
put_secret() {
    if [[ -e $1 ]]; then
        say "$1 is there, and stays"
    else
        mv "$made/secret" "$1"
    fi
}

# Both files come at once: a key of one certificate with another one starts no server.
put_certificate() {
    if [[ -e $1/fullchain.pem && -e $1/privkey.pem ]]; then
        say "the certificate in $1 is there, and stays"
    elif mv -T "$made/tls" "$1"; then
        say "a development certificate is made"
    else
        die "$1 is there, but not with fullchain.pem and privkey.pem in it" \
            'Put both there, or move the folder away.'
    fi
}

main() {
    local release=''
    while (($#)); do
        case $1 in
        --settings) needs_value "$@" && SETTINGS_FILE=$2 && shift ;;
        -h | --help) usage && exit ;;
        -*) misused "found '$1'" ;;
        *) release=$1 ;;
        esac
        shift
    done
    [[ -x $release/bin/tornado-webrtc ]] || misused 'RELEASE is not an installed release'
    read_settings
    [[ -n ${SETTING[DOMAIN]} ]] ||
        die 'the setting DOMAIN is empty' "Write DOMAIN=call.example.org into $SETTINGS_FILE."
    if [[ -e ${SETTING[CONF]} ]]; then
        say "${SETTING[CONF]} is there already"
        return
    fi
    configure "$release"
}

main "$@"
