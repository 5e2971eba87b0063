#!/usr/bin/env bash
# Prepare a machine for deploy.sh: Debian, Ubuntu or Amazon Linux; --help says how.
#
# It may be run again at any time: what is there stays as it is.

set -euo pipefail
umask 022

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/settings.sh
. "$here/settings.sh"

usage() {
    cat <<'END'
Usage: install.sh [OPTIONS]

  Install what deploy.sh needs, make the service's user and folders, put the systemd unit and
  the kernel's setting for UDP buffers in place, and write /etc/tornado-webrtc/deploy.conf.
  Nothing is started: the first `deploy.sh -f ZIP` does that.

Options:
  --domain NAME    The server's public name. With it, the first deploy.sh makes server.ini,
                   and asks Let's Encrypt for a certificate.
  --email ADDRESS  Whom Let's Encrypt may write to.
  --public-ip IP   What clients are told: 203.0.113.5, or 203.0.113.5/10.0.0.5 behind a
                   1:1 NAT, as on EC2.
  --port PORT      Of HTTPS and WebSockets; 443 if not given.
  --bucket BUCKET  Where deploy.sh fetches ZIPs from, unless it is told.
  --settings FILE  Instead of /etc/tornado-webrtc/deploy.conf.
  -h, --help       Show this.
END
}

declare -A given=()

parse() {
    while (($#)); do
        case $1 in
        --domain) needs_value "$@" && given[DOMAIN]=$2 && shift ;;
        --email) needs_value "$@" && given[EMAIL]=$2 && shift ;;
        --public-ip) needs_value "$@" && given[PUBLIC_IP]=$2 && shift ;;
        --port) needs_value "$@" && given[PORT]=$2 && shift ;;
        --bucket) needs_value "$@" && given[BUCKET]=$2 && shift ;;
        --settings) needs_value "$@" && SETTINGS_FILE=$2 && shift ;;
        -h | --help) usage && exit ;;
        *) misused "found '$1'" ;;
        esac
        shift
    done
    local key
    for key in "${!given[@]}"; do
        [[ ${given[$key]} =~ ^[A-Za-z0-9][A-Za-z0-9@:./+_,-]*$ ]] ||
            misused "'${given[$key]}' cannot be right"
    done
}

# --- programs ---------------------------------------------------------------------------

# The first Python that is new enough, and can make environments with pip.
find_python() {
    local name
    for name in python3 python3.13 python3.12 python3.11; do
        if "$name" -c 'import sys, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null
        then
            printf '%s\n' "$name"
            return
        fi
    done
    return 1
}

install_programs() {
    local -a wanted=()
    command -v curl >/dev/null || wanted+=(curl)
    command -v runuser >/dev/null || wanted+=(util-linux)
    if command -v apt-get >/dev/null; then
        find_python >/dev/null || wanted+=(python3-venv)
        install_packages apt-get install -q -y --no-install-recommends "${wanted[@]}"
    elif command -v dnf >/dev/null; then
        find_python >/dev/null || wanted+=(python3.11)
        install_packages dnf install -q -y "${wanted[@]}"
    fi
    write_python
    program aws awscli
    [[ -z ${SETTING[DOMAIN]} ]] || program "${SETTING[CERTBOT]}" certbot
}

# Call a package manager, if there is something to install: COMMAND... OPTION... PACKAGE...
install_packages() {
    [[ ${*: -1} != -* ]] || return 0
    say "installing ${*:2}"
    [[ $1 != apt-get ]] || apt-get update -q
    DEBIAN_FRONTEND=noninteractive "$@"
}

# A program that not every distribution has, in an environment of its own: PROGRAM PACKAGE.
program() {
    local tools=${SETTING[PREFIX]}/tools
    ! command -v "$1" >/dev/null || return 0
    say "installing $2"
    [[ -x $tools/bin/python ]] || "${SETTING[PYTHON]}" -m venv "$tools"
    "$tools/bin/python" -m pip install --quiet --disable-pip-version-check "$2"
    ln -sfn "$tools/bin/$1" "${SETTING[LINKS]}/$1"
}

# --- the machine ------------------------------------------------------------------------

make_user() {
    local user=${SETTING[RUN_AS]}
    [[ -n $user ]] && ! id -u "$user" >/dev/null 2>&1 || return 0
    useradd --system --user-group --home-dir "${SETTING[STATE_DIR]}" --shell /usr/sbin/nologin \
        "$user"
    say "made the user $user"
}

# The configuration's folder is root's: commands in deploy.conf are run by root.
make_folders() {
    install -d -m 755 "${SETTING[PREFIX]}" "${SETTING[PREFIX]}/releases"
    install -d -m 750 "${SETTING[CONF]%/*}"
    give "root:${SETTING[RUN_AS]:-root}" "${SETTING[CONF]%/*}"
}

write_settings() {
    local key file=$SETTINGS_FILE
    [[ -e $file ]] || printf '# deploy/settings.sh has all keys, and what they mean.\n' >"$file"
    chmod 644 "$file"
    for key in "${!given[@]}"; do
        grep -q "^$key=" "$file" || printf '%s=%s\n' "$key" "${given[$key]}" >>"$file"
    done
    if [[ -n ${given[PORT]-} ]] && ! grep -q '^READY_URL=' "$file"; then
        printf 'READY_URL=https://localhost:%s/readyz\n' "${given[PORT]}" >>"$file"
    fi
}

write_python() {
    local found
    found=$(find_python) ||
        die 'this system has no Python 3.11 or newer' \
            'Take Debian 12, Ubuntu 24.04, Amazon Linux 2023 or newer.'
    SETTING[PYTHON]=$found
    [[ $found == python3 ]] || grep -q '^PYTHON=' "$SETTINGS_FILE" ||
        printf 'PYTHON=%s\n' "$found" >>"$SETTINGS_FILE"
}

# certbot from a package brings a timer; from elsewhere it brings none.
renew_certificates() {
    [[ -n ${SETTING[DOMAIN]} ]] || return 0
    [[ $(command -v "${SETTING[CERTBOT]}") == "${SETTING[LINKS]}/"* ]] || return 0
    install -m 644 "$here/certbot-renew.service" "$here/certbot-renew.timer" "${SETTING[UNIT_DIR]}"
    "${SETTING[SYSTEMCTL]}" daemon-reload
    "${SETTING[SYSTEMCTL]}" enable --now certbot-renew.timer
}

put_unit() {
    install -m 644 "$here/60-tornado-webrtc.conf" "${SETTING[SYSCTL_DIR]}"
    sysctl --quiet --load "${SETTING[SYSCTL_DIR]}/60-tornado-webrtc.conf" ||
        warn 'the kernel does not take net.core.rmem_max; bursts of media may be lost'
    install -m 644 "$here/tornado-webrtc.service" "${SETTING[UNIT_DIR]}/${SETTING[SERVICE]}.service"
    "${SETTING[SYSTEMCTL]}" daemon-reload
    "${SETTING[SYSTEMCTL]}" enable "${SETTING[SERVICE]}"
}

main() {
    parse "$@"
    ((EUID == 0)) || die 'only root can do this' "sudo $0 …"
    install -d "$(dirname -- "$SETTINGS_FILE")"
    write_settings
    read_settings
    make_user
    make_folders
    install_programs
    put_unit
    renew_certificates
    say "ready; next: $here/deploy.sh -b BUCKET -f ZIP"
}

main "$@"
