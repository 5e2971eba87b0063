#!/usr/bin/env bash
# Give the server a new certificate. certbot runs this, as
# /etc/letsencrypt/renewal-hooks/deploy/tornado-webrtc, with RENEWED_LINEAGE set;
# certificate.sh puts it there, and writes its own paths into the two lines below.
#
# The last line fails if the server cannot use the certificate, and certbot reports that.

set -euo pipefail

home=/opt/tornado-webrtc/current/deploy
settings=/etc/tornado-webrtc/deploy.conf

# shellcheck source=deploy/settings.sh
DEPLOY_SETTINGS=$settings . "$home/settings.sh"
read_settings

# There may be certificates for other names, of other services.
[[ ${RENEWED_LINEAGE##*/} == "${SETTING[DOMAIN]}" ]] || exit 0

tls=${SETTING[CONF]%/*}/tls
for name in privkey fullchain; do
    install -m 640 "$RENEWED_LINEAGE/$name.pem" "$tls/.$name.pem"
    give "root:${SETTING[RUN_AS]:-root}" "$tls/.$name.pem"
done
# Both are there in full before either is replaced: a key without its chain starts no server.
sync -f "$tls"
for name in privkey fullchain; do
    mv "$tls/.$name.pem" "$tls/$name.pem"
done
sync -f "$tls"
"${SETTING[PREFIX]}/current/bin/tornado-webrtc" reload --conf "${SETTING[CONF]}"
