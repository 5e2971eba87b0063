# shellcheck shell=bash
# What the scripts in this folder share: settings, words to the operator. It is sourced.
#
# A setting comes from the environment (DEPLOY_PREFIX=…), else from the file (PREFIX=…), else
# from here. The file is read, never run: a line is KEY=VALUE, empty, or a comment.

# What root runs is not looked for in the folder where it happens to be, nor where a shell's
# own variables lead.
export PYTHONSAFEPATH=1
unset PYTHONPATH PYTHONHOME

declare -A SETTING=(
    [PREFIX]=/opt/tornado-webrtc            # releases/, and `current`, a link to one of them
    [SERVICE]=tornado-webrtc                # the systemd unit
    [CONF]=/etc/tornado-webrtc/server.ini   # what the server is told
    [RUN_AS]=tornado-webrtc                 # whom the service runs as; empty: who calls this
    [STATE_DIR]=/var/lib/tornado-webrtc     # what the server makes itself
    [READY_URL]=""                          # answers 200 when the server takes clients; empty: PORT
    [READY_SECONDS]=60                      # how long it may take until then
    [SETTLE_SECONDS]=5                      # it has to be there that much later, too
    [KEEP]=5                                # how many releases stay
    [BUCKET]=""                             # where ZIPs are fetched from, unless -b says it
    [PYTHON]=python3                        # 3.11 or newer
    [VENV_ARGS]=""                          # more words for `python3 -m venv`
    [PIP_ARGS]=""                           # more words for `pip install`
    [DOMAIN]=""                             # for Let's Encrypt; empty: the certificate is yours
    [EMAIL]=""                              # whom Let's Encrypt may write to
    [PUBLIC_IP]=""                          # [turn] public_ip of the first configuration
    [PORT]=443                              # [general] port of the first configuration
    [HTTP_PORT]=80                          # where challenges are answered: redirect_port
    [CERTBOT]=certbot
    [LETSENCRYPT]=/etc/letsencrypt
    [SYSTEMCTL]=systemctl
    [JOURNALCTL]=journalctl
    [UNIT_DIR]=/etc/systemd/system
    [SYSCTL_DIR]=/etc/sysctl.d
    [LINKS]=/usr/local/bin                  # for programs that no package has
)

DEFAULT_FILE=/etc/tornado-webrtc/deploy.conf
SETTINGS_FILE=${DEPLOY_SETTINGS:-$DEFAULT_FILE}
may_be_missing=no

say() { printf '%s\n' "$*"; }
warn() { printf 'warning: %s\n' "$*" >&2; }

# The first line is what happened, the others are what to do.
die() {
    printf 'error: %s\n' "$1" >&2
    shift
    (($# == 0)) || printf '  %s\n' "$@" >&2
    exit 1
}

misused() {
    printf 'error: %s\n  %s --help says what there is.\n' "$1" "${0##*/}" >&2
    exit 2
}

# Whether the first of some words is followed by one: "$@".
needs_value() {
    [[ -n ${2-} ]] || misused "$1 needs a value"
}

# The file's name is written into a hook and a unit: it is whole, and without surprises.
read_settings() {
    SETTINGS_FILE=$(realpath --canonicalize-missing --no-symlinks -- "$SETTINGS_FILE")
    is_plain "$SETTINGS_FILE" || die "the settings are in '$SETTINGS_FILE', no plain path"
    if [[ -e $SETTINGS_FILE ]]; then
        belongs_to_us "$SETTINGS_FILE"
        read_settings_file
    elif [[ $may_be_missing == no && $SETTINGS_FILE != "$DEFAULT_FILE" ]]; then
        die "there is no $SETTINGS_FILE" "install.sh --settings $SETTINGS_FILE makes it."
    fi
    local key name
    for key in "${!SETTING[@]}"; do
        name=DEPLOY_$key
        [[ -z ${!name+set} ]] || SETTING[$key]=${!name}
    done
    for key in READY_SECONDS SETTLE_SECONDS KEEP PORT HTTP_PORT; do
        [[ ${SETTING[$key]} =~ ^[0-9]{1,5}$ ]] ||
            die "the setting $key is '${SETTING[$key]}', it has to be a whole number"
        SETTING[$key]=$((10#${SETTING[$key]}))
    done
    ((SETTING[KEEP] >= 2)) ||
        die "the setting KEEP is ${SETTING[KEEP]}, it has to be 2 or more" \
            "One release runs, the other is there to go back to."
    for key in PREFIX CONF; do
        is_plain "${SETTING[$key]}" ||
            die "the setting $key is '${SETTING[$key]}', no plain path"
    done
    has_a_folder "${SETTING[CONF]}" ||
        die "the setting CONF is '${SETTING[CONF]}', it has to be in a folder of its own" \
            'Such as /etc/tornado-webrtc/server.ini: a secret and a certificate go beside it.'
    SETTING[PREFIX]=${SETTING[PREFIX]%/}
    # Certificate authorities and certbot know names in small letters.
    SETTING[DOMAIN]=${SETTING[DOMAIN],,}
    # Neither su nor sudo nor a timer looks there by itself, everywhere.
    PATH=$PATH:/usr/sbin:/sbin:${SETTING[LINKS]}
}

# Whether a path is whole, and means the same to a shell, to sed and to systemd.
is_plain() { [[ $1 =~ ^(/[A-Za-z0-9._-]+)+/?$ ]]; }

# Whether a file is in a folder that is not one of the system's.
has_a_folder() {
    case ${1%/*} in
    '' | /etc | /opt | /usr | /var | /srv | /home | /root | /tmp | /run | /boot) return 1 ;;
    /usr/local | /usr/local/etc | /etc/opt | /var/lib | /var/opt | /var/tmp) return 1 ;;
    esac
}

# Root runs its commands, or writes into it: nobody else may write there.
belongs_to_us() {
    local owner mode
    read -r owner mode < <(stat -L -c '%u %a' "$1")
    if ((owner != 0 && owner != EUID)) || ((8#$mode & 8#022)); then
        die "$1 can be written by others (owner $owner, mode $mode), so it is not believed" \
            "Look at what is in it, then: chown root $1 && chmod go-w $1"
    fi
}

read_settings_file() {
    local line key number=0
    while IFS= read -r line || [[ -n $line ]]; do
        number=$((number + 1))
        [[ ! $line =~ ^[[:space:]]*(#.*)?$ ]] || continue
        key=${line%%=*}
        if [[ $line != *=* || ! -v "SETTING[$key]" ]]; then
            die "$SETTINGS_FILE:$number: found '$line'" \
                "A line is KEY=VALUE, without quotes or spaces around; keys are:" \
                "$(printf '%s\n' "${!SETTING[@]}" | sort | tr '\n' ' ')"
        fi
        SETTING[$key]=${line#*=}
    done <"$SETTINGS_FILE"
}

# Run a command as the service's user, who may not read all that root may. It gets neither the
# lock of a run, which it could keep, nor root's terminal, into which it could type.
as_service_user() (
    [[ ! -v lock ]] || exec {lock}>&-
    if ((EUID == 0)) && [[ -n ${SETTING[RUN_AS]} && ${SETTING[RUN_AS]} != root ]]; then
        exec setsid --wait runuser -u "${SETTING[RUN_AS]}" -- "$@" </dev/null
    fi
    exec "$@" </dev/null
)

# Give files to a user and a group, where there are any but ours: OWNER:GROUP PATH...
give() {
    ((EUID != 0)) || [[ -z ${SETTING[RUN_AS]} ]] || chown "$@"
}
