#!/usr/bin/env bash
# Put a release of tornado-webrtc into service, or take it back; --help says how.
#
# Nothing is changed in place. A release is made under the name .making-…, and gets its own
# when it is complete; the link `current` is replaced in one step, so it leads to a complete
# release whenever the power goes. What was begun stands in the file `pending` until it is
# known how it ended, and the next run ends it.

set -euo pipefail
umask 022

here=$(CDPATH='' cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
# shellcheck source=deploy/settings.sh
. "$here/settings.sh"

usage() {
    cat <<'END'
Usage: deploy.sh [-b BUCKET] -f ZIP    a release from S3
       deploy.sh --local FILE          a release that lies here
       deploy.sh --rollback [RELEASE]  back to the newest other good one, or to RELEASE
       deploy.sh --list                the releases, the newest first

  Installs a release beside the others, checks the configuration with it, switches over,
  restarts the service and waits until it is ready. If it does not become ready, the release
  before is put back into service, and the exit status is 1.

  ZIP and FILE need their checksum beside them: ZIP.sha256, as sha256sum writes it.

Options:
  -b BUCKET         Where ZIP is; without it, the setting BUCKET.
  -f ZIP            Its key, such as tornado-webrtc-v1.2.3.zip.
  --local FILE      A ZIP on this machine instead.
  --rollback        Only switch, and mark the release that runs now as bad.
  --list            Show which release runs, and which were good.
  --no-certificate  Do not ask for a certificate.
  --settings FILE   Instead of /etc/tornado-webrtc/deploy.conf.
  -h, --help        Show this.

Exit status: 0 it serves; 1 it does not, and what was there before does, if anything did;
2 wrong usage; 75 another run is not through yet.
END
}

went_back=no
action='' zip='' release='' bucket='' certificate=yes

parse() {
    while (($#)); do
        case $1 in
        -b) needs_value "$@" && bucket=$2 && shift ;;
        -f) needs_value "$@" && to_do s3 && zip=$2 && shift ;;
        --local) needs_value "$@" && to_do local && zip=$2 && shift ;;
        --rollback)
            to_do rollback
            [[ ${2:--} == -* ]] || { release=$2 && shift; }
            ;;
        --list) to_do list ;;
        --no-certificate) certificate=no ;;
        --settings) needs_value "$@" && SETTINGS_FILE=$2 && shift ;;
        -h | --help) usage && exit ;;
        *) misused "found '$1'" ;;
        esac
        shift
    done
    [[ -n $action ]] || misused 'nothing to do: -f, --local, --rollback or --list is missing'
}

to_do() {
    [[ -z $action ]] || misused 'more than one of -f, --local, --rollback and --list'
    action=$1
}

# --- releases ---------------------------------------------------------------------------

# The complete ones, the newest first.
releases() {
    local path
    for path in "$root"/releases/*/; do
        path=${path%/}
        if [[ -x $path/bin/tornado-webrtc ]]; then
            printf '%s\n' "${path##*/}"
        fi
    done | LC_ALL=C sort -r
}

current() {
    local link
    link=$(readlink "$root/current" 2>/dev/null) || return 0
    printf '%s\n' "${link##*/}"
}

verdict() {
    local said=''
    read -r said 2>/dev/null <"$root/releases/$1/verdict" || true
    printf '%s\n' "${said:-unknown}"
}

# A server that serves is not given up because its verdict finds no room: NAME VERDICT.
judge() {
    local folder=$root/releases
    [[ -n $1 && -d $folder/$1 ]] || return 0
    if ! { printf '%s\n' "$2" >"$folder/.verdict" &&
        mv "$folder/.verdict" "$folder/$1/verdict" && sync -f "$root"; }; then
        warn "it cannot be written down that $1 is $2; is the disk full?"
    fi
}

# The newest good release besides one.
previous_good() {
    local name
    for name in $(releases); do
        if [[ $name != "$1" && $(verdict "$name") == good ]]; then
            printf '%s\n' "$name"
            return
        fi
    done
}

list() {
    local name mark running
    running=$(current)
    for name in $(releases); do
        mark=' '
        [[ $name != "$running" ]] || mark='*'
        printf '%s %s  %s\n' "$mark" "$name" "$(verdict "$name")"
    done
}

# --- from a ZIP to a folder -------------------------------------------------------------

fetch() {
    [[ -n $bucket ]] || die 'no bucket is given' "Say -b BUCKET, or BUCKET=… in $SETTINGS_FILE."
    [[ $bucket =~ ^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$ ]] || die "'$bucket' is no name of a bucket"
    [[ $zip =~ ^[A-Za-z0-9][A-Za-z0-9._/+-]*\.zip$ ]] || die "'$zip' is no name of a ZIP"
    command -v aws >/dev/null || die 'the AWS command line is not here' 'Run install.sh.'
    local name
    for name in "$zip" "$zip.sha256"; do
        aws ${AWS_ENDPOINT_URL:+--endpoint-url "$AWS_ENDPOINT_URL"} s3 cp --only-show-errors \
            "s3://$bucket/$name" "$incoming/${name##*/}" ||
            die "s3://$bucket/$name cannot be fetched; nothing was changed" \
                'Is it there, and may this machine read it? Who may not list a bucket gets the' \
                'same answer (403) for both. Look from elsewhere, or upload it again.'
    done
    zip=$incoming/${zip##*/}
}

check_sum() {
    [[ -f $zip && -f $zip.sha256 ]] ||
        die "$zip and $zip.sha256 have to be there; nothing was changed"
    local expected found name
    read -r expected name <"$zip.sha256" || true
    [[ $expected =~ ^[0-9a-f]{64}$ && ${name#\*} == "${zip##*/}" ]] ||
        die "${zip##*/}.sha256 is not a sum of ${zip##*/}; nothing was changed" \
            "sha256sum ${zip##*/} > ${zip##*/}.sha256 makes it, in the folder of the ZIP."
    read -r found _ < <(sha256sum <"$zip")
    [[ $found == "$expected" ]] ||
        die "${zip##*/} is damaged: its checksum is not that of ${zip##*/}.sha256" \
            'Nothing was changed. Make or upload it again.'
}

# Make a release that is complete, or none; its name is in $release then.
install_release() {
    local version making python=${SETTING[PYTHON]}
    local -a venv_args pip_args programs
    read -ra venv_args <<<"${SETTING[VENV_ARGS]}"
    read -ra pip_args <<<"${SETTING[PIP_ARGS]}"
    "$python" -c 'import sys, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null ||
        die "$python is no Python 3.11 or newer that can make environments" \
            "Name another one: PYTHON=… in $SETTINGS_FILE, or install python3-venv."
    version=$("$python" "$here/unpack.py" "$zip" "$incoming/unpacked") ||
        die 'there is no new release; nothing was changed'
    release=$(date -u +%Y%m%dT%H%M%SZ)-v$version
    making=$root/releases/.making-$release
    [[ ! -e $root/releases/$release ]] || die "$release is there already; try again"
    mv "$incoming/unpacked" "$making"
    say "installing $release"
    "$python" -m venv "${venv_args[@]}" --prompt "v$version" "$making" || die 'no environment could be made'
    pip "$making" "${pip_args[@]}" --require-hashes --requirement "$making/requirements.txt"
    pip "$making" "${pip_args[@]}" --no-deps --no-index "$making"/tornado_webrtc-*.whl
    # Programs name their interpreter by its whole path.
    mapfile -t programs < <(grep -rlIF "$making" "$making/bin" "$making/pyvenv.cfg")
    sed -i "s|$making|$root/releases/$release|g" "${programs[@]}"
    sync -f "$making"
    mv -T "$making" "$root/releases/$release"
}

# Wheels are unpacked; anything else would run its own code here, as root.
pip() {
    local environment=$1
    shift
    "$environment/bin/python" -m pip install --quiet --disable-pip-version-check \
        --no-input --no-cache-dir --only-binary :all: "$@" ||
        die 'pip could not install the release; nothing was changed' \
            'What it says stands above. Does this machine reach its package index?'
}

# --- the configuration ------------------------------------------------------------------

there_will_be_a_configuration() {
    [[ -e ${SETTING[CONF]} || -n ${SETTING[DOMAIN]} ]] ||
        die "there is no ${SETTING[CONF]}" 'Run install.sh --domain NAME, or write it.'
}

# Whether a release takes the configuration, read as the service reads it.
takes_configuration() {
    as_service_user "$root/releases/$1/bin/tornado-webrtc" check --conf "${SETTING[CONF]}"
}

check_configuration() {
    if [[ ! -e ${SETTING[CONF]} ]] &&
        ! bash "$here/configure.sh" --settings "$SETTINGS_FILE" "$root/releases/$1"; then
        remove "$1"
        die "${SETTING[CONF]} could not be made; $1 was taken away"
    fi
    takes_configuration "$1" && return
    remove "$1"
    die "the configuration is not right for $1, which was taken away; the service was left alone" \
        "Mend ${SETTING[CONF]} (what is wrong stands above), then run this again."
}

# --- switching over ---------------------------------------------------------------------

link_to() {
    ln -sfn "releases/$1" "$root/.current" && mv -T "$root/.current" "$root/current" &&
        sync -f "$root"
}

# Whether the process of the service is that of a release.
runs() {
    local pid program
    pid=$("${SETTING[SYSTEMCTL]}" show --property=MainPID --value "${SETTING[SERVICE]}") ||
        return 1
    IFS= read -r -d '' program 2>/dev/null <"/proc/$pid/cmdline" || return 1
    [[ $program == "$root/releases/$1/bin/"* ]]
}

# The server is asked by the name that this machine has for itself, which stands in no
# certificate, and directly, whatever proxy this machine has.
ask() {
    curl --disable --noproxy '*' --fail --silent --insecure --max-time 5 --output /dev/null \
        "$@" "${SETTING[READY_URL]}"
}

# Whether the service runs a release, and takes clients.
serves() { runs "$1" && ask; }

why_not() {
    local said
    if ! runs "$1"; then
        printf '%s does not run it' "${SETTING[SERVICE]}.service"
    elif said=$(ask --show-error 2>&1); then
        printf '%s answers only now' "${SETTING[READY_URL]}"
    else
        printf '%s: %s' "${SETTING[READY_URL]}" "$said"
    fi
}

become_ready() {
    local deadline=$((SECONDS + SETTING[READY_SECONDS]))
    until serves "$1"; do
        ((SECONDS < deadline)) || return 1
        sleep 0.5
    done
    sleep "${SETTING[SETTLE_SECONDS]}"
    serves "$1"
}

# Who starts a service that fails too often is refused by systemd, unless it forgets that.
restart() {
    "${SETTING[SYSTEMCTL]}" reset-failed "${SETTING[SERVICE]}" 2>/dev/null || true
    (exec {lock}>&- && exec "${SETTING[SYSTEMCTL]}" restart "${SETTING[SERVICE]}") &&
        become_ready "$1"
}

# Put a release into service, or have the one before there again: FROM TO [VERDICT ON FROM].
switch() {
    printf '%s\n' "${1:--} $2 ${3-}" >"$root/.pending" ||
        die "nothing can be written to $root; nothing was changed" 'Is the disk full?'
    mv "$root/.pending" "$root/pending"
    sync -f "$root"
    link_to "$2"
    say "restarting ${SETTING[SERVICE]} with $2"
    if restart "$2"; then
        succeed "$1" "$2" "${3-}"
        say "$2 serves"
        return
    fi
    warn "$2 is not ready: $(why_not "$2"). The end of its log:"
    "${SETTING[JOURNALCTL]}" --unit "${SETTING[SERVICE]}" --lines 30 --no-pager >&2 || true
    go_back "${1:--}" "$2"
    die "$2 did not become ready; $(what_runs)" 'Mend what its log says, above.'
}

# A switch is over: FROM TO [VERDICT ON FROM].
succeed() {
    judge "$2" good
    [[ -z ${3-} ]] || judge "$1" "$3"
    rm "$root/pending"
}

what_runs() {
    local name
    name=$(current)
    if [[ -n $name ]] && serves "$name"; then
        printf '%s serves again' "$name"
    else
        printf 'NOTHING SERVES: look at %s' "${SETTING[SERVICE]}.service"
    fi
}

# Undo a switch: TO FROM. Without a release to go back to, nothing runs.
go_back() {
    judge "$2" bad
    if [[ $1 != - && -d $root/releases/$1 ]]; then
        say "back to $1"
        link_to "$1" || die "$root/current cannot be led back to $1; $(what_runs)" \
            'Is the disk full? Make room, and run this again: it ends what was begun.'
        serves "$1" || restart "$1" || true
    else
        rm -f "$root/current"
        "${SETTING[SYSTEMCTL]}" stop "${SETTING[SERVICE]}" || true
    fi
    rm "$root/pending"
}

rollback() {
    local from
    from=$(current)
    if [[ -z $release && $went_back == yes && -n $from ]]; then
        say "$from runs again: that was the way back"
        serves "$from" || die "$from does not serve" "Look: ${0##*/} --list"
        return
    fi
    [[ -n $release ]] || release=$(previous_good "$from")
    [[ -n $release ]] || die 'there is no other good release' "Look: ${0##*/} --list"
    [[ $release =~ ^[A-Za-z0-9][A-Za-z0-9.+_-]*$ && -x $root/releases/$release/bin/tornado-webrtc ]] ||
        die "there is no release $release" "Look: ${0##*/} --list"
    [[ $release != "$from" ]] || die "$release is what runs"
    takes_configuration "$release" ||
        die "the configuration is not right for $release; nothing was changed" \
            "Give ${SETTING[CONF]} back what it had then."
    switch "$from" "$release" bad
}

# --- tidying up -------------------------------------------------------------------------

take_lock() {
    mkdir -p "$root/releases" || die "$root cannot be made" 'Run this as root.'
    # only root may hold it: whoever can read it could keep every run from beginning
    (umask 077 && : >>"$root/.lock")
    chmod 600 "$root/.lock"
    exec {lock}>"$root/.lock"
    flock --nonblock "$lock" || {
        printf 'error: another run of %s is not through yet\n' "${0##*/}" >&2
        exit 75
    }
}

remove_leftovers() {
    rm -rf "$root"/.incoming-* "$root"/releases/.making-* "$root"/releases/.removing-* \
        "$root/.current" "$root/.pending" "$root/releases/.verdict"
}

# End what a run has begun that was cut off.
recover() {
    remove_leftovers
    [[ -e $root/pending ]] || return 0
    local old='' new='' verdict=''
    read -r old new verdict <"$root/pending" || true
    if [[ -z $new || $(current) != "$new" ]]; then
        rm "$root/pending"
    elif become_ready_soon "$new"; then
        warn "an earlier run was cut off; $new, which it had switched to, serves"
        succeed "$old" "$new" "$verdict"
    else
        warn "an earlier run was cut off before it knew whether $new serves"
        go_back "$old" "$new"
        went_back=yes
    fi
}

become_ready_soon() { serves "$1" && sleep "${SETTING[SETTLE_SECONDS]}" && serves "$1"; }

# The newest KEEP releases stay, and with them what runs and what one would go back to.
prune() {
    local name running safe number=0
    running=$(current)
    safe=$(previous_good "$running")
    for name in $(releases); do
        number=$((number + 1))
        ((number > SETTING[KEEP])) || continue
        [[ $name != "$running" && $name != "$safe" ]] || continue
        remove "$name"
    done
}

# Take a release away; one that is half gone has its name no more.
remove() {
    mv -T "$root/releases/$1" "$root/releases/.removing-$1"
    rm -rf "$root/releases/.removing-$1"
}

# However this ends, what is half done is undone.
finish() {
    local status=$?
    trap - EXIT
    trap '' HUP INT PIPE TERM
    set +e
    recover
    exit "$status"
}

deploy() {
    local old
    old=$(current)
    there_will_be_a_configuration
    # What failed before has left releases.
    prune
    incoming=$(mktemp -d "$root/.incoming-XXXXXX")
    [[ $action == local ]] || fetch
    check_sum
    install_release
    check_configuration "$release"
    if [[ -n $old ]] && ! takes_configuration "$old" >/dev/null 2>&1; then
        warn "$old could not start again with this configuration, should $release fail"
    fi
    switch "$old" "$release"
    prune
}

main() {
    parse "$@"
    read_settings
    root=${SETTING[PREFIX]}
    bucket=${bucket:-${SETTING[BUCKET]}}
    : "${SETTING[READY_URL]:=https://localhost:${SETTING[PORT]}/readyz}"
    if [[ $action == list ]]; then
        list
        return
    fi
    [[ -z ${SETTING[RUN_AS]} ]] || id -u "${SETTING[RUN_AS]}" >/dev/null 2>&1 ||
        die "there is no user ${SETTING[RUN_AS]}" 'Run install.sh, or set RUN_AS.'
    take_lock
    trap finish EXIT
    trap 'exit 129' HUP
    trap 'exit 130' INT
    trap 'exit 141' PIPE
    trap 'exit 143' TERM
    recover
    if [[ $action == rollback ]]; then
        rollback
        return
    fi
    deploy
    local script=$root/current/deploy/certificate.sh
    [[ $certificate == no ]] || bash "$script" --settings "$SETTINGS_FILE" ||
        warn "there is no new certificate; the one in use stays. Later: $script"
}

main "$@"
