#!/usr/bin/env bash
# Have a machine deploy a release, from elsewhere: upload it, tell deploy.sh through AWS
# Systems Manager, wait, and show what it says; --help says how.
#
# It stands alone, unlike the scripts beside it: one file is enough to carry to where releases
# are made, and the bash 3.2 of a Mac to run it. settings.sh wants a newer one, and the machine.

set -euo pipefail

usage() {
    cat <<'END'
Usage: remote.sh -b BUCKET -i INSTANCE -f FILE

  Upload FILE, a release's ZIP, and FILE.sha256 to BUCKET, run deploy.sh on the EC2 instance,
  and wait for its end. It needs the AWS command line, with credentials that may write to
  the bucket, send commands to the instance, and read what becomes of them.

Options:
  -b BUCKET      Such as example-releases.
  -i INSTANCE    Such as i-0123456789abcdef0.
  -f FILE        Such as dist/tornado-webrtc-v1.2.3.zip.
  -t SECONDS     How long to wait; 1800 if not given. What is running then goes on.
  -h, --help     Show this.

Exit status: that of deploy.sh was 0, or 1; 2 wrong usage.
END
}

bucket='' instance='' file='' seconds=1800

# Systems Manager kills what takes longer, and a deployment that is killed cannot go back by
# itself: the longest that it allows.
execution_timeout=172800

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

# What reaches a shell on the machine is made of harmless characters.
parse() {
    while (($#)); do
        [[ $1 == -h || $1 == --help || $# -ge 2 ]] || misused "$1 needs a value"
        case $1 in
        -b) bucket=$2 ;;
        -i) instance=$2 ;;
        -f) file=$2 ;;
        -t) seconds=$2 ;;
        -h | --help) usage && exit ;;
        *) misused "found '$1'" ;;
        esac
        shift 2
    done
    [[ $bucket =~ ^[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]$ ]] || misused "'$bucket' is no bucket (-b)"
    [[ $instance =~ ^m?i-[0-9a-f]{8,17}$ ]] || misused "'$instance' is no instance (-i)"
    [[ ${file##*/} =~ ^tornado-webrtc-v[0-9A-Za-z.+-]+\.zip$ ]] || misused "'$file' is no release (-f)"
    [[ $seconds =~ ^[0-9]{2,6}$ ]] || misused "'$seconds' is no time (-t)"
    seconds=$((10#$seconds))
    [[ -f $file && -f $file.sha256 ]] || die "$file and $file.sha256 have to be there"
}

# Tests have an AWS of their own; not every version of the command line looks there itself.
call() { command aws ${AWS_ENDPOINT_URL:+--endpoint-url "$AWS_ENDPOINT_URL"} "$@"; }

# The checksum goes last: what a machine fetches then is whole.
upload() {
    local name
    for name in "$file" "$file.sha256"; do
        call s3 cp --only-show-errors "$name" "s3://$bucket/${name##*/}" ||
            die "s3://$bucket/${name##*/} cannot be written"
    done
    printf 's3://%s/%s is uploaded\n' "$bucket" "${file##*/}"
}

send() {
    local script=/opt/tornado-webrtc/current/deploy/deploy.sh parameters
    parameters=$(
        SCRIPT="test -x $script || { echo 'no release is here yet: docs/deployment.md' >&2; exit 1; }
exec $script -b $bucket -f ${file##*/}" LIMIT=$execution_timeout python3 -I -c '
import json, os
print(json.dumps({
    "commands": os.environ["SCRIPT"].splitlines(),
    "executionTimeout": [os.environ["LIMIT"]],
}))'
    )
    call ssm send-command --instance-ids "$instance" --document-name AWS-RunShellScript \
        --comment "deploy ${file##*/}" --timeout-seconds 60 --parameters "$parameters" \
        --query Command.CommandId --output text ||
        die "no command can be sent to $instance" 'Is it known to Systems Manager, and online?'
}

# A field of what has become of a command; empty while nothing is known: COMMAND FIELD.
asked() {
    call ssm get-command-invocation --command-id "$1" --instance-id "$instance" \
        --query "$2" --output text 2>/dev/null || true
}

wait_for() {
    local command=$1 status='' deadline=$((SECONDS + seconds + 120))
    while ((SECONDS < deadline)); do
        status=$(asked "$command" Status)
        case $status in
        '' | Pending | InProgress | Delayed | Cancelling) sleep "${POLL_SECONDS:-3}" ;;
        *) break ;;
        esac
    done
    asked "$command" StandardOutputContent
    asked "$command" StandardErrorContent >&2
    [[ $status == Success ]] ||
        die "the deployment ended with the status ${status:-unknown}" \
            'What the machine said stands above.'
    printf '%s is deployed to %s\n' "${file##*/}" "$instance"
}

main() {
    parse "$@"
    upload
    local command
    command=$(send)
    wait_for "$command"
}

main "$@"
