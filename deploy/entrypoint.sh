#!/bin/sh
# Libraries that read a token from the environment alone get it from the secret's file.
set -eu
if [ -s /run/secrets/hf_token ]; then
  HF_TOKEN="$(cat /run/secrets/hf_token)"
  export HF_TOKEN
fi
exec "$@"
