#!/usr/bin/env bash
# Prepare a machine for deploy.sh: Debian, Ubuntu or Amazon Linux; --help says how.
#
# It may be run again at any time: what is there stays as it is.

set -euo pipefail
umask 022

here=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/settings.sh
. "$here/settings.sh"

usage() {
    cat <<'END'
Usage: install.sh [OPTIONS]

  Install what deploy.sh needs, make the service's user and folders, put the systemd units and
  the kernel's setting for UDP buffers in place, and write /etc/tornado-webrtc/deploy.conf.
  Programs come from packages of the distribution; those it has none for, from PyPI.
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
list=old

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

# Packages of the distribution, which updates them. What it has none for comes from PyPI.
install_programs() {
    works curl || package curl || lacking curl
    works runuser || package util-linux || lacking runuser
    find_python >/dev/null || package python3-venv python3.11 || true
    write_python
    works aws || package awscli awscli-2 || from_pypi aws awscli || without_aws
    # A certbot that the settings name is somebody's own.
    [[ -z ${SETTING[DOMAIN]} || ${SETTING[CERTBOT]} != certbot ]] ||
        works certbot || package certbot || from_pypi certbot certbot || lacking certbot
}

# Whether a program is there, and more than a name: a link, or an environment whose Python is gone.
works() { "$1" --version >/dev/null 2>&1; }

lacking() { die "$1 is missing, and could not be installed" 'What was tried stands above.'; }

without_aws() {
    [[ -z ${SETTING[BUCKET]} ]] || lacking 'the AWS command line'
    warn 'there is no AWS command line: deploy.sh takes a release with --local, not with -f'
}

# Install what the distribution has; it fails if there is none: NAME-ON-DEBIAN [NAME-ON-FEDORA].
# What it has, and cannot be installed now, is not looked for elsewhere: that would stay.
package() {
    local name=$1
    if command -v apt-get >/dev/null; then
        update_list
        apt-get install --simulate -q -y "$name" >/dev/null 2>&1 || return 1
        say "installing $name"
        DEBIAN_FRONTEND=noninteractive apt-get -o DPkg::Lock::Timeout=600 install -q -y \
            --no-install-recommends "$name" || not_now "$name"
    elif command -v dnf >/dev/null; then
        name=${2-$1}
        dnf list -q "$name" >/dev/null 2>&1 || return 1
        say "installing $name"
        dnf install -q -y "$name" || not_now "$name"
    else
        return 1
    fi
}

not_now() {
    die "the package $1 could not be installed" \
        'Why stands above. Run this again when that is over.'
}

update_list() {
    [[ $list == old ]] || return 0
    list=new
    apt-get update -q || warn 'apt-get update failed; the list of packages that is here is taken'
}

# A program in an environment of its own: PROGRAM PACKAGE.
from_pypi() {
    local tools=${SETTING[PREFIX]}/tools
    local -a pip_args
    read -ra pip_args <<<"${SETTING[PIP_ARGS]}"
    say "installing $2 from PyPI, into $tools: there is no package of the distribution"
    "$tools/bin/python" -m pip --version >/dev/null 2>&1 ||
        "${SETTING[PYTHON]}" -m venv --clear "$tools" || return 1
    "$tools/bin/python" -m pip install --quiet --disable-pip-version-check \
        "${pip_args[@]}" --upgrade --only-binary :all: "$2" &&
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

# The configuration's folder is root's: commands in deploy.conf are run by root. systemd would
# make the state's at the first start, but the configuration is checked before that.
make_folders() {
    local user=${SETTING[RUN_AS]:-root}
    mkdir -p "${SETTING[PREFIX]}/releases"
    make_folder 750 "root:$user" "${SETTING[CONF]%/*}"
    make_folder 700 "$user:$user" "${SETTING[STATE_DIR]}"
}

# A folder that is there stays as it is: MODE OWNER:GROUP FOLDER.
make_folder() {
    [[ ! -d $3 ]] || return 0
    install -d -m "$1" "$3"
    give "$2" "$3"
}

# Nothing is written where somebody else could put a link in the way, nor through one.
look_at_settings() {
    local folder
    folder=$(dirname -- "$SETTINGS_FILE")
    [[ ! -e $folder ]] || belongs_to_us "$folder"
    [[ ! -L $SETTINGS_FILE ]] ||
        die "$SETTINGS_FILE is a link, which is not followed" 'Put the file itself there.'
    may_be_missing=yes
    read_settings
}

write_settings() {
    local key
    mkdir -p "$(dirname -- "$SETTINGS_FILE")"
    if [[ ! -e $SETTINGS_FILE ]]; then
        printf '# deploy/settings.sh has all keys, and what they mean.\n' >"$SETTINGS_FILE"
        chmod 644 "$SETTINGS_FILE"
    fi
    for key in "${!given[@]}"; do
        write_setting "$key" "${given[$key]}"
    done
}

# Write a line, unless there is one for this key: KEY VALUE.
write_setting() {
    local found
    if found=$(grep "^$1=" "$SETTINGS_FILE"); then
        [[ $found == "$1=$2" ]] ||
            warn "$SETTINGS_FILE says $found, and that stays; edit it for $1=$2"
        return
    fi
    # Whoever edited the file may have left its last line without an end.
    [[ -z $(tail -c 1 "$SETTINGS_FILE") ]] || printf '\n' >>"$SETTINGS_FILE"
    printf '%s=%s\n' "$1" "$2" >>"$SETTINGS_FILE"
}

write_python() {
    local found
    found=$(find_python) ||
        die 'this system has no Python 3.11 or newer' \
            'Take Debian 12, Ubuntu 24.04, Amazon Linux 2023 or newer.'
    SETTING[PYTHON]=$found
    [[ $found == python3 ]] || grep -q '^PYTHON=' "$SETTINGS_FILE" || write_setting PYTHON "$found"
}

# A package of certbot may bring a timer, for /etc/letsencrypt. This one knows the settings, and
# one that comes second finds nothing to do.
put_timer() {
    [[ -n ${SETTING[DOMAIN]} ]] || return 0
    local name=${SETTING[SERVICE]}-certificate
    sed -e "s|/opt/tornado-webrtc/|${SETTING[PREFIX]}/|" -e "s|$DEFAULT_FILE|$SETTINGS_FILE|" \
        -e "s|tornado-webrtc\.service|${SETTING[SERVICE]}.service|" \
        "$here/tornado-webrtc-certificate.service" >"${SETTING[UNIT_DIR]}/$name.service"
    install -m 644 "$here/tornado-webrtc-certificate.timer" "${SETTING[UNIT_DIR]}/$name.timer"
    "${SETTING[SYSTEMCTL]}" daemon-reload
    "${SETTING[SYSTEMCTL]}" enable --now "$name.timer"
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
    ((EUID == 0)) || die 'only root can do this' "sudo bash $0 …"
    look_at_settings
    make_user
    make_folders
    write_settings
    read_settings
    install_programs
    put_unit
    put_timer
    say "ready; next: bash $here/deploy.sh --local ZIP, or -f ZIP for one in a bucket"
}

main "$@"
