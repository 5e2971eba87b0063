#!/usr/bin/env bash
# Get a certificate from Let's Encrypt, or keep the one that is there; --help says how.

set -euo pipefail
umask 022

here=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/settings.sh
. "$here/settings.sh"

usage() {
    cat <<'END'
Usage: certificate.sh [--renew] [--settings FILE]

  Ask Let's Encrypt for a certificate for DOMAIN, once. The running server answers the
  challenge on port 80, and takes the new certificate up without a restart. A hook does the
  same for every renewal, whoever asks for it.

  Nothing is done if DOMAIN is not set, or if server.ini names another certificate than
  tls/fullchain.pem beside it: then the certificate is yours. deploy.sh calls this, and so
  does the timer that install.sh puts into place, with --renew.

Options:
  --renew          If it is there, renew it when it is time for that.
  --settings FILE  Instead of /etc/tornado-webrtc/deploy.conf.
  -h, --help       Show this.

Exit status: 0 it is there, or not wanted; 1 it cannot be had, the one in use stays.
END
}

# What a key of [general] in server.ini says, as the server reads it: with or without quotes,
# spaces around names, a comment behind. Its file is beside that one.
general() {
    local value
    value=$(awk -v key="$1" '
        { sub(/\r$/, "") }
        /^[ \t]*\[/ { inside = /^[ \t]*\[[ \t]*general[ \t]*\][ \t]*(#.*)?$/ }
        inside && $0 ~ "^[ \t]*" key "[ \t]*=" {
            sub(/^[^=]*=[ \t]*/, "")
            quote = substr($0, 1, 1)
            if (quote == "\"" || quote == "\047") {
                $0 = substr($0, 2)
                sub(quote ".*", "")
            } else {
                sub(/[ \t]*(#.*)?$/, "")
            }
            print
            exit
        }
    ' "${SETTING[CONF]}")
    [[ -z $value || $value == /* ]] || value=${SETTING[CONF]%/*}/$value
    printf '%s\n' "$value"
}

# Whether the server shows a file of challenge_dir to whoever asks on the plain port.
answers_challenges() {
    local folder=$1/.well-known/acme-challenge token=deployment-asks-whether-this-is-shown
    local answer
    install -d -m 755 "$1/.well-known" "$folder"
    printf '%s' "$$" >"$folder/$token"
    answer=$(curl --disable --noproxy '*' --silent --max-time 5 --header "Host: ${SETTING[DOMAIN]}" \
        "http://127.0.0.1:${SETTING[HTTP_PORT]}/.well-known/acme-challenge/$token") || true
    rm -f "$folder/$token"
    [[ $answer == "$$" ]]
}

ask() {
    local webroot=$1
    local -a contact=(--register-unsafely-without-email)
    [[ -z ${SETTING[EMAIL]} ]] || contact=(--email "${SETTING[EMAIL]}" --no-eff-email)
    answers_challenges "$webroot" ||
        die "the server does not show $webroot on port ${SETTING[HTTP_PORT]}" \
            "server.ini needs redirect_port = ${SETTING[HTTP_PORT]} and challenge_dir = acme," \
            'and the service has to run.'
    "${SETTING[CERTBOT]}" certonly --non-interactive --agree-tos "${contact[@]}" \
        --config-dir "${SETTING[LETSENCRYPT]}" --webroot --webroot-path "$webroot" \
        --cert-name "${SETTING[DOMAIN]}" --domain "${SETTING[DOMAIN]}" ||
        die "Let's Encrypt gave no certificate for ${SETTING[DOMAIN]}" \
            'The name has to lead to this machine, and port 80 has to be open to everybody.'
}

# Whether certbot asked in a way that needs port 80 for itself, or another folder: it would do
# so again, but it is our server that answers there. DNS goes on as it is: WEBROOT.
asked_otherwise() {
    local saved=${SETTING[LETSENCRYPT]}/renewal/${SETTING[DOMAIN]}.conf
    grep -qE '^authenticator *= *(standalone|nginx|apache) *$' "$saved" 2>/dev/null ||
        { grep -qE '^authenticator *= *webroot *$' "$saved" 2>/dev/null &&
            ! grep -qE "= *$1/?,? *$" "$saved"; }
}

renew() {
    local -a way=()
    ! asked_otherwise "$1" || way=(--authenticator webroot --webroot-path "$1"
        --webroot-map "{\"${SETTING[DOMAIN]}\": \"$1\"}")
    "${SETTING[CERTBOT]}" renew --quiet --no-random-sleep-on-renew "${way[@]}" \
        --config-dir "${SETTING[LETSENCRYPT]}" --cert-name "${SETTING[DOMAIN]}" ||
        die "the certificate for ${SETTING[DOMAIN]} was not renewed" \
            'What certbot says stands above; the certificate in use stays until its end.'
}

put_hook() {
    local folder=${SETTING[LETSENCRYPT]}/renewal-hooks/deploy
    install -d "$folder"
    sed -e "s|^home=.*|home=${SETTING[PREFIX]}/current/deploy|" \
        -e "s|^settings=.*|settings=$SETTINGS_FILE|" \
        "$here/certificate-hook.sh" >"$folder/.tornado-webrtc"
    chmod 755 "$folder/.tornado-webrtc"
    mv "$folder/.tornado-webrtc" "$folder/tornado-webrtc"
}

main() {
    local renewing=no
    while (($#)); do
        case $1 in
        --renew) renewing=yes ;;
        --settings) needs_value "$@" && SETTINGS_FILE=$2 && shift ;;
        -h | --help) usage && exit ;;
        *) misused "found '$1'" ;;
        esac
        shift
    done
    read_settings
    local lineage cert webroot
    if [[ -z ${SETTING[DOMAIN]} ]]; then
        return
    fi
    cert=$(general cert)
    webroot=$(general challenge_dir)
    if [[ $cert != "${SETTING[CONF]%/*}/tls/fullchain.pem" ]]; then
        say "the certificate is ${cert:-that of a proxy}: it is left alone"
        return
    fi
    [[ -n $webroot ]] || die "${SETTING[CONF]} has no challenge_dir" 'Write challenge_dir = acme.'
    lineage=${SETTING[LETSENCRYPT]}/live/${SETTING[DOMAIN]}
    put_hook
    if [[ ! -e $lineage/fullchain.pem ]]; then
        ask "$webroot"
    elif [[ $renewing == yes ]]; then
        renew "$webroot"
    fi
    if ! cmp -s "$lineage/fullchain.pem" "$cert"; then
        RENEWED_LINEAGE=$lineage "${SETTING[LETSENCRYPT]}/renewal-hooks/deploy/tornado-webrtc"
        say "the certificate of ${SETTING[DOMAIN]} is in use"
    fi
}

main "$@"
