#!/usr/bin/env bash
# Unpack a release's archive and use it as its reader would: start the server, find faces on a picture, stop it.
#     try-archive.sh rekollect-1.2.3-linux-x86_64.tar.gz picture.png
set -euo pipefail
archive=$1 picture=$2
address=127.0.0.1:${PORT:-7391}

folder=$(mktemp -d)
server=
# shellcheck disable=SC2329  # the trap calls it
end() { if [ -n "$server" ]; then kill "$server" 2> /dev/null || true; fi; rm -rf "$folder"; }
trap end EXIT

tar -xzf "$archive" -C "$folder"
{ printf '{"Image":{"Bytes":"'; base64 < "$picture" | tr -d '\n'; printf '"}}'; } > "$folder/request.json"
cd "$folder"/rekollect-*/
./rekollect --version
REKOLLECT_LISTEN=$address ./rekollect serve > "$folder/log" 2>&1 &
server=$!
for _ in $(seq 60); do
  if REKOLLECT_LISTEN=$address ./rekollect healthcheck 2> /dev/null; then break; fi
  if ! kill -0 "$server" 2> /dev/null; then break; fi
  sleep 1
done
call() {
  curl --silent --show-error --max-time 60 --header 'Content-Type: application/x-amz-json-1.1' \
    --header "X-Amz-Target: RekognitionService.$1" --data-binary "@$2" "http://$address/"
}
if ! call DetectFaces "$folder/request.json" > "$folder/reply.json" || ! grep -q '"BoundingBox"' "$folder/reply.json"; then
  echo 'no face came back; the reply and the log:'
  cat "$folder/reply.json" "$folder/log"
  exit 1
fi
printf 'faces: %s\n' "$(grep -o '"BoundingBox"' "$folder/reply.json" | wc -l | tr -d ' ')"
kill -TERM "$server"
wait "$server"
server=
echo 'stopped in order'
