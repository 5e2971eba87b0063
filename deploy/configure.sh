#!/usr/bin/env bash
# Make the first configuration, with a release that is installed; --help says more.
#
# `tornado-webrtc init` makes it, in a folder beside; server.ini comes last, so a run that
# is cut off is done again from the start.

set -euo pipefail
umask 022

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/settings.sh
. "$here/settings.sh"

usage() {
    cat <<'END'
Usage: configure.sh [--settings FILE] RELEASE

  Make server.ini, a TURN secret and a development certificate, if there is no server.ini.
  RELEASE is the folder of an installed release. deploy.sh calls this the first time.

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
    install -d -m 750 "$folder/tls"
    mv "$made/certs/cert.pem" "$folder/tls/fullchain.pem"
    mv "$made/certs/key.pem" "$folder/tls/privkey.pem"
    mv "$made/secret" "$folder/secret"
    give "root:$group" "$folder/tls" "$made/server.ini"
    give "$group:$group" "$folder/secret" "$folder/tls/fullchain.pem" "$folder/tls/privkey.pem"
    chmod 640 "$made/server.ini"
    sync -f "$made"
    mv "$made/server.ini" "${SETTING[CONF]}"
    rm -rf "$made"
    say "${SETTING[CONF]} is made, for ${SETTING[DOMAIN]}, with a development certificate"
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
